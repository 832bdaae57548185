/** Takes in one layer: hashed, stored as it came, inflated and turned into EROFS in one pass. */
import { HullError } from "../../contract/errors.ts";
import { type ContentStore, digestOf, type PendingFile } from "../content/content-store.ts";
import { giveBack } from "../content/give-back.ts";
import type { Digest } from "../image-store.ts";
import { type Conversion, type ConversionPaths, convertLayer } from "./convert.ts";
import { startConversion } from "./converters.ts";
import type { Compression } from "./decompress.ts";

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
  /** Called when all bytes have arrived and are those that were expected. */
  readonly onArrived?: () => void;
  /** Called now and then with how many of the bytes have become a layer. */
  readonly onTaken?: (bytes: number) => void;
}

/** A layer of fewer bytes is converted before a process for it would have started. */
const smallBytes = 1024 * 1024;
/** How often a converter hears that there is more. */
const newsBytes = 1024 * 1024;

export async function ingestLayer(
  content: ContentStore,
  source: AsyncIterable<Uint8Array>,
  options: IngestOptions,
): Promise<LayerRecord> {
  const { what } = options;
  await using copy = options.spooled === undefined ? content.create() : undefined;
  await using layer = content.reserve();
  await using plain = content.reserve();
  const kept = copy ?? options.spooled;
  if (kept === undefined) throw new Error("a layer is kept in one file");
  const paths = { what, layer: layer.path, plain: plain.path };
  const hash = new Bun.CryptoHasher("sha256");
  const received = receive(source, hash, copy, options.onBytes);
  const check = (): Digest => {
    const arrived: Digest = `sha256:${hash.digest("hex")}`;
    verify(`the compressed ${what}`, options.expectedBlob, arrived);
    options.onArrived?.();
    return arrived;
  };
  const small = await wholeIfSmall(received, smallBytes);
  const { arrived, conversion } =
    small !== undefined
      ? { arrived: check(), conversion: await convertLayer(small, paths, "another") }
      : await convertElsewhere(kept, received, paths, { check, onTaken: options.onTaken });
  const { diffId } = conversion;
  verify(what, options.expectedDiffId, diffId);
  const { plainBytes } = conversion;
  const blob = plainBytes === undefined ? arrived : diffId;
  // The disk may do both at once.
  await Promise.all([
    content.publishBlob(plainBytes === undefined ? kept : plain, blob),
    content.publishLayer(layer, diffId),
  ]);
  return {
    diffId,
    blob,
    blobBytes: plainBytes ?? kept.out.position,
    compression: plainBytes === undefined ? conversion.compression : "none",
    layerBytes: conversion.layerBytes,
  };
}

/** Passes the source on, hashed and copied. */
async function* receive(
  source: AsyncIterable<Uint8Array>,
  hash: Bun.CryptoHasher,
  copy: PendingFile | undefined,
  onBytes: ((bytes: number) => void) | undefined,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    hash.update(chunk);
    if (copy !== undefined) {
      copy.out.write(chunk);
      await copy.out.drain();
    }
    onBytes?.(chunk.length);
    yield chunk;
  }
}

/** Reads until the source ends or has given that many bytes: then nothing is kept of them. */
async function wholeIfSmall(
  source: AsyncGenerator<Uint8Array>,
  bytes: number,
): Promise<AsyncIterable<Uint8Array> | undefined> {
  const chunks: Uint8Array[] = [];
  for (let length = 0; length < bytes; ) {
    const next = await source.next();
    if (next.done === true) return inTurn(chunks);
    // A copy: the source may use its buffer again.
    chunks.push(new Uint8Array(next.value));
    length += next.value.length;
  }
  chunks.forEach(giveBack);
  return undefined;
}

async function* inTurn(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

/** Another process reads the file while it grows. */
async function convertElsewhere(
  file: PendingFile,
  rest: AsyncGenerator<Uint8Array>,
  paths: ConversionPaths,
  on: { readonly check: () => Digest; readonly onTaken: ((bytes: number) => void) | undefined },
): Promise<{ readonly arrived: Digest; readonly conversion: Conversion }> {
  await using conversion = startConversion(file.out.path, paths, on.onTaken);
  let failure: { readonly error: unknown } | undefined;
  conversion.result.catch((error: unknown) => {
    failure = { error };
  });
  let told = 0;
  let bytes = 0;
  for await (const chunk of rest) {
    // Looked at with each chunk. A race of promises would keep every chunk in memory until the end.
    if (failure !== undefined) throw failure.error;
    bytes += chunk.length;
    if (bytes < told + newsBytes) continue;
    told = bytes;
    conversion.more();
  }
  const arrived = on.check();
  await file.settle();
  // Awaited here: the conversion is disposed of when this returns.
  return { arrived, conversion: await conversion.end() };
}

/** Throws `digestMismatch` when `actual` is not what was promised. */
export function verify(what: string, expected: Digest | undefined, actual: Digest): void {
  if (expected !== undefined && expected !== actual)
    throw new HullError("digestMismatch", { what, expected, actual });
}

export function verifyBytes(what: string, expected: Digest, bytes: Uint8Array): void {
  verify(what, expected, digestOf(bytes));
}
