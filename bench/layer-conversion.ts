/**
 * How fast a layer becomes EROFS: one tar, compressed by gzip, through all that a pull does with it (both digests, inflating,
 * conversion, everything durable on disk), the network left out.
 *
 *   scripts/bun bench/layer-conversion.ts LAYER.tar.gz   (or LAYER.tar, which is compressed first)
 */
import { createReadStream, createWriteStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { ContentStore } from "../src/image/content/content-store.ts";
import { decompress } from "../src/image/layer/decompress.ts";
import { ingestLayer } from "../src/image/layer/ingest.ts";

export interface LayerConversion {
  /** Bytes of the uncompressed tar. */
  readonly tarBytes: number;
  readonly seconds: number;
}

export async function measureLayerConversion(tarPath: string): Promise<LayerConversion> {
  const root = await mkdtemp(join(tmpdir(), "layer-conversion-"));
  try {
    const tarGzPath = tarPath.endsWith(".tar") ? join(root, "layer.tar.gz") : tarPath;
    if (tarGzPath !== tarPath)
      await pipeline(createReadStream(tarPath), createGzip(), createWriteStream(tarGzPath));
    const tarBytes = await uncompressedBytes(tarGzPath);
    const content = await ContentStore.open(root);
    const start = performance.now();
    await ingestLayer(content, read(tarGzPath), { what: "the layer" });
    return { tarBytes, seconds: (performance.now() - start) / 1000 };
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

/** Reads the file once before the measurement, which also brings it into the page cache. */
async function uncompressedBytes(path: string): Promise<number> {
  let bytes = 0;
  const { stream } = await decompress("the layer", read(path));
  for await (const chunk of stream) bytes += chunk.length;
  return bytes;
}

function read(path: string): AsyncIterable<Uint8Array> {
  return createReadStream(path, { highWaterMark: 256 * 1024 });
}

if (import.meta.main) {
  const [path] = process.argv.slice(2);
  if (path === undefined) throw new Error("usage: layer-conversion.ts LAYER.tar.gz");
  const { tarBytes, seconds } = await measureLayerConversion(path);
  const cpu = process.cpuUsage();
  console.log(
    `${(tarBytes / 1e6).toFixed(0)} MB of tar in ${seconds.toFixed(2)} s: ${(tarBytes / 1e6 / seconds).toFixed(0)} MB/s`,
    `(processor time for reading it twice: ${((cpu.user + cpu.system) / 1e6).toFixed(2)} s)`,
  );
}
