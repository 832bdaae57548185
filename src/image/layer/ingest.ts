/** Takes in one layer: hashed, stored as it came, inflated and turned into EROFS in one pass. */
import { HullError } from "../../contract/errors.ts";
import { type ContentStore, digestOf, type PendingFile } from "../content/content-store.ts";
import type { Digest } from "../image-store.ts";
import { LayerBuilder } from "./builder.ts";
import { type Compression, decompress } from "./decompress.ts";

export interface LayerRecord {
  readonly diffId: Digest;
  /** The layer as it is pushed; its compression is `none` for what came as xz, which registries do not know. */
  readonly blob: Digest;
  readonly blobBytes: number;
  readonly compression: Compression;
  /** Bytes of the EROFS file. */
  readonly layerBytes: number;
}

export interface IngestOptions {
  /** Names the layer in errors. */
  readonly what: string;
  /** Held against what arrives; nothing is stored when it differs. */
  readonly expectedBlob?: Digest;
  readonly expectedDiffId?: Digest;
  /** The file that the source reads, already whole in the content store's temp: it is kept instead of a copy. */
  readonly spooled?: PendingFile;
  /** Called with the number of bytes of every chunk that arrived. */
  readonly onBytes?: (bytes: number) => void;
}

export async function ingestLayer(
  content: ContentStore,
  source: AsyncIterable<Uint8Array>,
  options: IngestOptions,
): Promise<LayerRecord> {
  const { what } = options;
  await using copy = options.spooled === undefined ? content.create() : undefined;
  await using layer = content.create();
  const blobHash = new Bun.CryptoHasher("sha256");
  async function* tapped(): AsyncGenerator<Uint8Array> {
    for await (const chunk of source) {
      blobHash.update(chunk);
      if (copy !== undefined) {
        copy.out.write(chunk);
        await copy.out.drain();
      }
      options.onBytes?.(chunk.length);
      yield chunk;
    }
  }
  const { compression, stream } = await decompress(what, tapped());
  const diffHash = new Bun.CryptoHasher("sha256");
  const builder = new LayerBuilder(what, layer.out);
  // Registries know no xz: such a layer is kept as the plain tar it holds.
  await using plain = compression === "xz" ? content.create() : undefined;
  for await (const chunk of stream) {
    diffHash.update(chunk);
    if (plain !== undefined) {
      plain.out.write(chunk);
      await plain.out.drain();
    }
    await builder.push(chunk);
  }
  await builder.end();
  const arrived: Digest = `sha256:${blobHash.digest("hex")}`;
  const diffId: Digest = `sha256:${diffHash.digest("hex")}`;
  verify(`the compressed ${what}`, options.expectedBlob, arrived);
  verify(what, options.expectedDiffId, diffId);
  const kept = plain ?? copy ?? options.spooled;
  if (kept === undefined) throw new Error("a layer is kept in one file");
  const blobBytes = kept.out.position;
  const layerBytes = layer.out.position;
  const keptDigest = plain === undefined ? arrived : diffId;
  // The disk may do both at once.
  await Promise.all([content.publishBlob(kept, keptDigest), content.publishLayer(layer, diffId)]);
  return {
    diffId,
    blob: keptDigest,
    blobBytes,
    compression: plain === undefined ? compression : "none",
    layerBytes,
  };
}

/** Throws `digestMismatch` when `actual` is not what was promised. */
export function verify(what: string, expected: Digest | undefined, actual: Digest): void {
  if (expected !== undefined && expected !== actual)
    throw new HullError("digestMismatch", { what, expected, actual });
}

export function verifyBytes(what: string, expected: Digest, bytes: Uint8Array): void {
  verify(what, expected, digestOf(bytes));
}
