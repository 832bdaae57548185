/** Removing images, by Docker's rules (moby, daemon/images/image_delete.go). */
import { HullError } from "../contract/errors.ts";
import { type Found, findImage } from "./find.ts";
import type { Digest, RemovedImage } from "./image-store.ts";
import type { ImageRecords, NamedDigest, NamedReference } from "./records.ts";
import { familiarName } from "./reference.ts";

export interface RemoveOptions {
  readonly force: boolean;
  /** The id of a workload that uses the image, if there is one. */
  readonly inUse: (id: Digest) => string | undefined;
  readonly leased: (id: Digest) => boolean;
}

/**
 * A name is taken away; the image goes with its last name. By id, an image goes if it has one name, or with all
 * its names by force. An image in use keeps its last name unless forced.
 */
export function removeImage(records: ImageRecords, text: string, options: RemoveOptions): RemovedImage[] {
  const found = findImage(records, text);
  const removed: RemovedImage[] = [];
  records.transaction(() => {
    const stays = found.by !== "id" && removeName(records, found, removed, text, options);
    if (!stays) removeWhole(records, found, removed, text, options);
  });
  return removed;
}

/** Takes one name away; true when the image has others. */
function removeName(
  records: ImageRecords,
  found: Found,
  removed: RemovedImage[],
  text: string,
  options: RemoveOptions,
): boolean {
  if (found.by === "id") return false;
  const tags = records.tagsOf(found.id);
  const digests = records.digestsOf(found.id);
  if ("digest" in found.by) {
    if (tags.length === 0 && digests.length <= 1) return false;
    untagDigest(records, found.by.digest, removed);
    return true;
  }
  const { tag } = found.by;
  if (tags.length <= 1) {
    refuseInUse(found.id, text, options);
    return false;
  }
  untag(records, tag, removed);
  // Digests of a repository whose last tag is gone would keep the image for no name that anybody sees.
  if (!tags.some((other) => other.canonical === tag.canonical && other.tag !== tag.tag))
    for (const named of digests) if (named.canonical === tag.canonical) untagDigest(records, named, removed);
  return true;
}

function removeWhole(
  records: ImageRecords,
  found: Found,
  removed: RemovedImage[],
  text: string,
  options: RemoveOptions,
): void {
  const tags = records.tagsOf(found.id);
  const repositories = new Set(tags.map((tag) => tag.canonical));
  if (found.by === "id" && !options.force && (repositories.size > 1 || tags.length > 1))
    throw new HullError("conflict", {
      what: `unable to delete ${shortId(found.id)} (must be forced) - image is referenced in multiple repositories`,
    });
  refuseInUse(found.id, text, options);
  for (const tag of tags) untag(records, tag, removed);
  for (const named of records.digestsOf(found.id)) untagDigest(records, named, removed);
  if (options.leased(found.id)) records.hide(found.id);
  else records.delete(found.id);
  removed.push({ deleted: found.id });
}

function refuseInUse(id: Digest, name: string, options: RemoveOptions): void {
  if (options.force) return;
  const user = options.inUse(id);
  if (user !== undefined) throw new HullError("imageInUse", { name, id: user });
}

function untag(records: ImageRecords, tag: NamedReference, removed: RemovedImage[]): void {
  records.dropTag(tag);
  removed.push({ untagged: `${familiarName(tag.canonical)}:${tag.tag}` });
}

function untagDigest(records: ImageRecords, named: NamedDigest, removed: RemovedImage[]): void {
  records.dropDigest(named);
  removed.push({ untagged: `${familiarName(named.canonical)}@${named.digest}` });
}

function shortId(id: Digest): string {
  return id.slice("sha256:".length, "sha256:".length + 12);
}
