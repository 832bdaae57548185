/** The files that an image keeps in the store: what collection spares, disk usage counts, and verification reads. */
import type { ContentStore } from "./content/content-store.ts";
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

/** Keeps all of an image from collection until the session of `content` ends. */
export function holdImage(content: ContentStore, records: ImageRecords, id: Digest): void {
  const image = records.get(id);
  if (image === undefined) return;
  const { blobs, layers } = partsOfImage(records, image);
  content.hold(...blobs, ...layers);
}

/** What all images and the build cache keep. Hidden images that `goes` tells of are forgotten on the way. */
export function neededParts(records: ImageRecords, goes: (hidden: Digest) => boolean): ImageParts {
  const blobs = new Set<Digest>();
  const layers = new Set<Digest>();
  for (const record of records.all()) {
    if (record.hidden && goes(record.id)) {
      records.delete(record.id);
      continue;
    }
    const parts = partsOfImage(records, record);
    for (const blob of parts.blobs) blobs.add(blob);
    for (const layer of parts.layers) layers.add(layer);
  }
  records.forgetWholes();
  for (const layer of records.buildCache.layers()) {
    blobs.add(layer.blob);
    layers.add(layer.diffId);
  }
  return { blobs, layers };
}
