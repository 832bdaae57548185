/**
 * Layers of images that were made here (imported, committed, built) are kept uncompressed: most are never pushed. A
 * push packs them by gzip, as Docker does, once: the image keeps the packed blobs from then on, so that each later push
 * names the same digests. What was pulled or loaded with a manifest stays byte for byte as it came.
 */
import { createReadStream } from "node:fs";
import { availableParallelism } from "node:os";
import { createGzip } from "node:zlib";
import { HullError } from "../../contract/errors.ts";
import { type ContentStore, digestOf } from "../content/content-store.ts";
import { naming } from "../content/naming.ts";
import type { Digest, ProgressEvent } from "../image-store.ts";
import type { LayerRecord } from "../layer/ingest.ts";
import { formatManifest } from "../manifest.ts";
import type { ImageRecord, ImageRecords } from "../records.ts";
import { byteReporter, type RegistryContext, shortDigest } from "./context.ts";
import { Places } from "./places.ts";

/** What Docker packs with, too: further up is much slower and hardly smaller. */
const level = 6;
const readBytes = 256 * 1024;
/** Of all pushes together; each has a thread of its own. */
const places = new Places(availableParallelism());

export interface PackOptions {
  /** The image, for messages. */
  readonly name: string;
  readonly onProgress: (event: ProgressEvent) => void;
  readonly signal: AbortSignal;
}

/** Whether it has plain layers, and a manifest that was only made here. */
export function isToBePacked(image: ImageRecord): boolean {
  if (image.artifact !== undefined || !image.layers.some(isPlain)) return false;
  const manifest = formatManifest(Buffer.from(image.config), image.id, image.layers);
  return digestOf(Buffer.from(manifest)) === image.manifest;
}

function isPlain(layer: LayerRecord): boolean {
  return layer.compression === "none";
}

/** The image as it is to be pushed. Throws `corrupt` when a blob is missing, and `noSpace`. */
export async function packImage(
  context: RegistryContext,
  image: ImageRecord,
  options: PackOptions,
): Promise<ImageRecord> {
  const { content, records } = context;
  if (!isToBePacked(image)) return image;
  const config = Buffer.from(image.config);
  const packed = new Map<Digest, Promise<LayerRecord>>();
  for (const layer of image.layers)
    if (isPlain(layer) && !packed.has(layer.diffId))
      packed.set(layer.diffId, packLayer(context, layer, options));
  // All have ended before this returns.
  const results = await Promise.allSettled(packed.values());
  for (const result of results) if (result.status === "rejected") throw result.reason;
  const layers: LayerRecord[] = [];
  for (const layer of image.layers) layers.push((await packed.get(layer.diffId)) ?? layer);
  const manifest = await content.putBlob(Buffer.from(formatManifest(config, image.id, layers)));
  await content.settle();
  records.replaceParts(image, { manifest, layers });
  return { ...image, manifest, layers };
}

/** A layer that another image has packed already is not packed again. Two pushes at once pack it once. */
async function packLayer(
  context: RegistryContext,
  layer: LayerRecord,
  options: PackOptions,
): Promise<LayerRecord> {
  const { content, records, packing } = context;
  const known = packedLayer(records, layer.diffId);
  if (known !== undefined) {
    content.hold(known.blob);
    if ((await content.blobSize(known.blob)) === known.blobBytes) return known;
  }
  const { signal, onProgress } = options;
  for (;;) {
    const made = await packing.join(layer.diffId, signal, onProgress, (shared, emit) =>
      places.take(shared, () => compress(content, layer, { ...options, signal: shared, onProgress: emit })),
    );
    // Who began it may have ended, and with it what kept the blob.
    content.hold(made.blob);
    if ((await content.blobSize(made.blob)) !== undefined) return made;
  }
}

function packedLayer(records: ImageRecords, diffId: Digest): LayerRecord | undefined {
  return records
    .all()
    .flatMap((image) => image.layers)
    .find((layer) => layer.diffId === diffId && layer.compression === "gzip");
}

async function compress(
  content: ContentStore,
  layer: LayerRecord,
  { name, onProgress, signal }: PackOptions,
): Promise<LayerRecord> {
  const id = shortDigest(layer.diffId);
  const what = `layer ${id} of ${name}`;
  if ((await content.blobSize(layer.blob)) === undefined)
    throw new HullError("corrupt", { what, why: `its blob ${layer.blob} is missing here` });
  const report = byteReporter("Compressing", id, layer.blobBytes, onProgress);
  // The header tells no time and no name: the same layer gives the same bytes.
  const gzip = createGzip({ level, chunkSize: readBytes });
  const source = createReadStream(content.blobPath(layer.blob), { highWaterMark: readBytes });
  source.on("data", (chunk) => report(chunk.length));
  source.on("error", (error) => gzip.destroy(error));
  await using file = content.create();
  const hash = new Bun.CryptoHasher("sha256");
  try {
    for await (const chunk of source.pipe(gzip)) {
      signal.throwIfAborted();
      const bytes: Uint8Array = chunk;
      hash.update(bytes);
      file.out.write(bytes);
      await file.out.drain();
    }
    const blob: Digest = `sha256:${hash.digest("hex")}`;
    await content.publishBlob(file, blob);
    return { ...layer, blob, blobBytes: file.out.position, compression: "gzip" };
  } catch (error) {
    throw naming(what, error);
  } finally {
    source.destroy();
    gzip.destroy();
  }
}
