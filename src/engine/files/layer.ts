/**
 * The writable layer of a workload as the tar of an image's layer. The same files give the same bytes.
 * Source: OCI image-spec, layer.md, "Whiteouts", "Opaque Whiteout".
 */
import { HullError } from "../../contract/errors.ts";
import type { FileEntry, FilePart, LayerEntry, LayerPart } from "../../wall/files.ts";
import { isBareParent, isPlaceholder } from "./placeholders.ts";
import { tarOf } from "./tar-stream.ts";

const prefix = ".wh.";
const opaqueMark = ".wh..wh..opq";

/** `told` is called for the first member: a layer without any is empty. */
export function layerTar(
  parts: AsyncIterable<LayerPart>,
  told: () => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  return tarOf(plainParts(parts, told), (path) => (path === "" ? "./" : path));
}

async function* plainParts(
  parts: AsyncIterable<LayerPart>,
  told: () => void,
): AsyncGenerator<FilePart, void, undefined> {
  let pending: LayerEntry[] = [];
  let leftOut = false;
  for await (const part of parts) {
    if ("data" in part) {
      if (!leftOut) yield part;
      continue;
    }
    const { entry } = part;
    pending = pending.filter(({ path }) => path === "" || entry.path.startsWith(`${path}/`));
    leftOut = isPlaceholder(entry);
    if (leftOut) continue;
    if (isBareParent(entry)) {
      pending.push(entry);
      continue;
    }
    told();
    // Of the root nothing is to be told if it is as it was.
    for (const each of pending.splice(0)) if (each.path !== "") yield* marked(each);
    yield* marked(entry);
  }
}

function* marked(entry: LayerEntry): Generator<FilePart> {
  const slash = entry.path.lastIndexOf("/") + 1;
  const [directory, name] = [entry.path.slice(0, slash), entry.path.slice(slash)];
  if (name.startsWith(prefix))
    throw new HullError("unsupported", {
      what: `a file called ${JSON.stringify(Buffer.from(name, "latin1").toString("utf8"))}`,
      where: " in a layer",
      why: "layers mark removed files so: give it another name",
    });
  if (entry.type === "whiteout") {
    yield { entry: markEntry(entry, `${directory}${prefix}${name}`) };
    return;
  }
  const { opaque, below: _, type, ...rest } = entry;
  yield { entry: { ...rest, type } };
  if (opaque) yield { entry: markEntry(entry, `${entry.path === "" ? "" : `${entry.path}/`}${opaqueMark}`) };
}

function markEntry({ mtime }: LayerEntry, path: string): FileEntry {
  return {
    ...{ type: "file", path, linkTarget: "", mode: 0o600, uid: 0, gid: 0, mtime, size: 0 },
    ...{ deviceMajor: 0, deviceMinor: 0, xattrs: new Map(), sparse: undefined },
  };
}
