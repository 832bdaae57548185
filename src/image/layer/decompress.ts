/** Telling how a stream is compressed by its first bytes, and undoing it. */
import { once } from "node:events";
import type { Transform } from "node:stream";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { HullError, messageOf } from "../../contract/errors.ts";
import { FilterFailure, filterThrough } from "../../host/filter-process.ts";
import { Inflater } from "./inflate.ts";
import { ZstdFrames } from "./zstd-frames.ts";

export type Compression = "none" | "gzip" | "zstd" | "xz";

/** `xz -9` asks for 65 MiB; without a limit a stream may ask for 4 GiB. */
const xzMemory = "512MiB";
/** Larger than zlib's own default: it is called less often. */
const outputBytes = 256 * 1024;

const magics: readonly (readonly [Compression | "bzip2", readonly number[]])[] = [
  ["gzip", [0x1f, 0x8b]],
  ["zstd", [0x28, 0xb5, 0x2f, 0xfd]],
  ["xz", [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ["bzip2", [0x42, 0x5a, 0x68]],
];
const longestMagic = 6;

export interface Decompressed {
  readonly compression: Compression;
  readonly stream: AsyncIterable<Uint8Array>;
}

/**
 * `what` names the data in errors. The source is read to its end, also behind the end of the compressed data.
 *
 * `own` thread: for a process that does nothing else. It costs less than another thread, but nobody else has a turn
 * meanwhile, and a piece of the stream is only good until the next one is asked for.
 */
export async function decompress(
  what: string,
  source: AsyncIterable<Uint8Array>,
  thread: "another" | "own" = "another",
): Promise<Decompressed> {
  const { head, whole } = await peek(source, longestMagic);
  const compression = compressionOf(head);
  switch (compression) {
    case "none":
      return { compression, stream: whole };
    case "gzip":
    case "zstd": {
      const input = compression === "zstd" ? wholeFrames(what, whole) : whole;
      const inflate = thread === "own" ? inThisThread : through;
      return { compression, stream: inflate(what, input, compression) };
    }
    case "xz":
      return { compression, stream: throughXz(what, whole) };
    default:
      throw new HullError("unsupported", {
        what: "bzip2",
        where: ` in ${what}`,
        why: "use gzip, xz, zstd or no compression",
      });
  }
}

function compressionOf(head: Uint8Array): Compression | "bzip2" {
  for (const [name, magic] of magics) if (magic.every((byte, index) => head[index] === byte)) return name;
  // zstd may begin with a frame of somebody's own data, whose magic has 16 values.
  const skippable =
    ((head[0] ?? 0) & 0xf0) === 0x50 && head[1] === 0x2a && head[2] === 0x4d && head[3] === 0x18;
  return skippable ? "zstd" : "none";
}

/** The first bytes of a stream, and a stream that still has them. */
async function peek(
  source: AsyncIterable<Uint8Array>,
  bytes: number,
): Promise<{ head: Uint8Array; whole: AsyncIterable<Uint8Array> }> {
  const iterator = source[Symbol.asyncIterator]();
  const chunks: Uint8Array[] = [];
  let length = 0;
  while (length < bytes) {
    const next = await iterator.next();
    if (next.done === true) break;
    chunks.push(next.value);
    length += next.value.length;
  }
  const head = Buffer.concat(chunks);
  async function* whole(): AsyncGenerator<Uint8Array> {
    try {
      if (head.length > 0) yield head;
      for (let next = await iterator.next(); next.done !== true; next = await iterator.next())
        yield next.value;
    } finally {
      await iterator.return?.();
    }
  }
  return { head, whole: whole() };
}

/** Passes zstd on and sees to it that it ends where a frame ends: the decompressor takes half a frame for the end. */
async function* wholeFrames(what: string, source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const frames = new ZstdFrames();
  for await (const chunk of source) {
    frames.push(chunk);
    yield chunk;
  }
  if (!frames.whole) throw new HullError("corrupt", { what, why: "unexpected end of zstd data" });
}

const makers: Readonly<Record<"gzip" | "zstd", () => Transform>> = {
  gzip: () => createGunzip({ chunkSize: outputBytes }),
  zstd: () => createZstdDecompress({ chunkSize: outputBytes }),
};

async function* inThisThread(
  what: string,
  source: AsyncIterable<Uint8Array>,
  kind: "gzip" | "zstd",
): AsyncGenerator<Uint8Array> {
  using inflater = Inflater.of(what, makers[kind](), { kind, outputBytes });
  if (inflater === undefined) {
    yield* through(what, source, kind);
    return;
  }
  for await (const chunk of source) yield* inflater.push(chunk);
  yield* inflater.end();
}

async function* through(
  what: string,
  source: AsyncIterable<Uint8Array>,
  kind: "gzip" | "zstd",
): AsyncGenerator<Uint8Array> {
  const stream = makers[kind]();
  const closed = new Promise<void>((resolve) => stream.once("close", () => resolve()));
  let failure: unknown;
  stream.on("error", (error) => {
    failure ??= new HullError("corrupt", { what, why: messageOf(error) }, { cause: error });
  });
  let stopped = false;
  const feed = async () => {
    try {
      for await (const chunk of source) {
        if (stopped) return;
        // What follows the end of the compressed data is read and dropped.
        if (stream.destroyed || stream.writableEnded) continue;
        if (!stream.write(chunk)) await Promise.race([once(stream, "drain"), closed]).catch(() => undefined);
      }
      if (!stream.destroyed) stream.end();
    } catch (error) {
      failure ??= error;
      stream.destroy();
    }
  };
  const fed = feed();
  try {
    for await (const chunk of stream) yield chunk;
  } catch (error) {
    failure ??= error;
  } finally {
    stopped = true;
    stream.destroy();
  }
  await fed;
  if (failure !== undefined) throw failure;
}

async function* throughXz(what: string, source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* filterThrough(["xz", "-dc", `--memlimit-decompress=${xzMemory}`], source);
  } catch (error) {
    if (error instanceof FilterFailure)
      throw new HullError("corrupt", { what, why: messageOf(error) }, { cause: error });
    throw error;
  }
}
