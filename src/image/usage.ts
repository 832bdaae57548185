/** What images take on the disk, in blocks, as du counts: a file that two images have is counted once. */
import { stat } from "node:fs/promises";
import type { ContentStore } from "./content/content-store.ts";
import type { Digest, ImageUsage, StoreUsage } from "./image-store.ts";
import { partsOfImage } from "./parts.ts";
import type { ImageRecords } from "./records.ts";

export async function storeUsage(content: ContentStore, records: ImageRecords): Promise<StoreUsage> {
  const files = new Map<string, { bytes: number; users: number }>();
  const pathsOf = new Map<Digest, string[]>();
  for (const image of records.all()) {
    const { blobs, layers } = partsOfImage(records, image);
    const paths = [
      ...[...blobs].map((digest) => content.blobPath(digest)),
      ...[...layers].map((digest) => content.layerPath(digest)),
    ];
    pathsOf.set(image.id, paths);
    for (const path of paths) {
      const known = files.get(path);
      if (known !== undefined) known.users += 1;
      else files.set(path, { bytes: await bytesOnDisk(path), users: 1 });
    }
  }
  const images = new Map<Digest, ImageUsage>();
  for (const [id, paths] of pathsOf) {
    const own = paths.map((path) => files.get(path) ?? { bytes: 0, users: 0 });
    images.set(id, {
      bytes: own.reduce((sum, { bytes }) => sum + bytes, 0),
      sharedBytes: own.reduce((sum, { bytes, users }) => sum + (users > 1 ? bytes : 0), 0),
    });
  }
  const totalBytes = [...files.values()].reduce((sum, { bytes }) => sum + bytes, 0);
  return { totalBytes, images };
}

export async function bytesOnDisk(path: string): Promise<number> {
  return stat(path).then(
    ({ blocks }) => blocks * 512,
    () => 0,
  );
}
