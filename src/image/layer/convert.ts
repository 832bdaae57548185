/** One layer's tar, compressed or not, becomes an EROFS file: inflated, hashed and converted in one pass. */
import { BufferedFile } from "../content/buffered-file.ts";
import type { Digest } from "../image-store.ts";
import { LayerBuilder } from "./builder.ts";
import { type Compression, decompress } from "./decompress.ts";

export interface ConversionPaths {
  /** Names the layer in errors. */
  readonly what: string;
  /** Where the EROFS file goes; nothing is there yet. */
  readonly layer: string;
  /** Where the plain tar goes when the layer came as xz, which registries do not know. */
  readonly plain: string;
}

export interface Conversion {
  readonly diffId: Digest;
  readonly compression: Compression;
  /** Bytes of the EROFS file. */
  readonly layerBytes: number;
  /** Bytes of the plain tar; none was written for anything but xz. */
  readonly plainBytes: number | undefined;
}

/** Everything is written, and not durable yet. `thread` is as for `decompress`. */
export async function convertLayer(
  source: AsyncIterable<Uint8Array>,
  paths: ConversionPaths,
  thread: "another" | "own",
): Promise<Conversion> {
  const { what } = paths;
  await using layer = new BufferedFile(paths.layer, thread === "own" ? "direct" : "cached");
  const { compression, stream } = await decompress(what, source, thread);
  await using plain = compression === "xz" ? new BufferedFile(paths.plain) : undefined;
  const hash = new Bun.CryptoHasher("sha256");
  const builder = new LayerBuilder(what, layer);
  for await (const chunk of stream) {
    hash.update(chunk);
    if (plain !== undefined) {
      plain.write(chunk);
      await plain.drain();
    }
    await builder.push(chunk);
  }
  await builder.end();
  await layer.finish("written");
  await plain?.finish("written");
  return {
    diffId: `sha256:${hash.digest("hex")}`,
    compression,
    layerBytes: layer.position,
    plainBytes: plain?.position,
  };
}
