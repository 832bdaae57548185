/** What a workload changed in its image's files, as `docker diff` tells it. */
import { HullError } from "../../contract/errors.ts";
import type { LayerEntry } from "../../wall/files.ts";
import { isBareParent, isPlaceholder, isUnchangedDirectory } from "./placeholders.ts";

export interface FileChange {
  /** Absolute; one character for each byte. */
  readonly path: string;
  readonly kind: "modified" | "added" | "deleted";
}

const mostChanges = 1_000_000;

/** In the order of the paths. A directory is told if it is changed itself or anything in it is. */
export async function changesOf(entries: AsyncIterable<LayerEntry>): Promise<FileChange[]> {
  const changes: FileChange[] = [];
  /** Directories from the root down to the present one that were not told yet. */
  let pending: LayerEntry[] = [];
  for await (const entry of entries) {
    pending = pending.filter((parent) => isWithin(entry.path, parent.path));
    if (isPlaceholder(entry)) continue;
    if (isBareParent(entry) || isUnchangedDirectory(entry)) {
      pending.push(entry);
      continue;
    }
    for (const each of [...pending.splice(0), entry]) {
      const change = changeOf(each);
      if (change !== undefined) changes.push(change);
    }
    if (changes.length > mostChanges)
      throw new HullError("tooLarge", {
        what: "the list of changes",
        value: "its length",
        limit: mostChanges,
      });
  }
  return changes.sort(({ path: one }, { path: other }) => (one < other ? -1 : one > other ? 1 : 0));
}

function changeOf({ type, path, below }: LayerEntry): FileChange | undefined {
  // Docker never tells of the root itself.
  if (path === "") return undefined;
  if (type === "whiteout") return below === undefined ? undefined : { path: `/${path}`, kind: "deleted" };
  return { path: `/${path}`, kind: below === undefined ? "added" : "modified" };
}

function isWithin(path: string, directory: string): boolean {
  return directory === "" || path.startsWith(`${directory}/`);
}
