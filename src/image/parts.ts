/** The files that an image keeps in the store: what collection spares, disk usage counts, and verification reads. */
import type { Digest } from "./image-store.ts";
import type { ImageRecord, ImageRecords } from "./records.ts";

export interface ImageParts {
  readonly blobs: ReadonlySet<Digest>;
  /** By the digest of the uncompressed tar. */
  readonly layers: ReadonlySet<Digest>;
}

export function partsOfImage(records: ImageRecords, image: ImageRecord): ImageParts {
  const blobs = new Set<Digest>([image.id, image.manifest]);
  const tops = new Set<Digest>([image.id]);
  for (const { digest } of records.digestsOf(image.id)) tops.add(digest);
  for (const tag of records.tagsOf(image.id)) {
    const target = records.targetOf(tag);
    if (target !== undefined) tops.add(target);
  }
  for (const top of tops) {
    blobs.add(top);
    for (const part of records.partsOf(top) ?? []) blobs.add(part);
  }
  for (const layer of image.layers) blobs.add(layer.blob);
  return { blobs, layers: new Set(image.layers.map((layer) => layer.diffId)) };
}
