/** What is fed with changed input: everything that reads what a registry or an archive says. */
import { statSync } from "node:fs";
import { rm } from "node:fs/promises";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { isHullError } from "../../contract/errors.ts";
import { parseConfig } from "../config.ts";
import { BufferedFile } from "../content/buffered-file.ts";
import { LayerBuilder } from "../layer/builder.ts";
import { decompress } from "../layer/decompress.ts";
import { parseManifest } from "../manifest.ts";
import { rawTar } from "../testing/raw-tar.ts";
import { streamOf, type TestStore } from "../testing/store.ts";
import { archives, compressed, config, documents, tars } from "./corpus.ts";
import { mutateBytes, mutateJson, mutateTar } from "./mutate.ts";
import type { Random } from "./random.ts";

/** Refusals that bad input may get; anything else is a finding. */
const refusals = [
  "corrupt",
  "tooLarge",
  "unsupported",
  "digestMismatch",
  "invalidReference",
  "conflict",
] as const;

export interface Surroundings {
  /** Of the case; a file that is there afterwards is a layer to be mounted. */
  readonly layer: string;
  readonly own: TestStore;
}

export type Target = (random: Random, surroundings: Surroundings) => Promise<"taken" | "refused">;

export const targets: Readonly<Record<string, Target>> = {
  tar: (random, { layer }) =>
    convertTo(layer, random, () => mutateTar(random, random.pick(tars), tars), "another"),
  "compressed tar": (random, { layer }) =>
    convertTo(layer, random, () => mutateCompressed(random), random.once(2) ? "own" : "another"),
  manifest: (random) =>
    judge(() => void parseManifest(mutateJson(random, random.pick(documents)), "the manifest")),
  config: (random) => judge(() => void parseConfig(mutateJson(random, config), "the config")),
  archive: (random, { own }) =>
    judge(async () => {
      await own.store.load(streamOf(mutateArchive(random), 1 + random.below(20_000)), () => undefined);
    }),
};

/** Of changed data with a right checksum, or changed itself. */
function mutateCompressed(random: Random): Buffer {
  if (!random.once(3)) return mutateBytes(random, random.pick(compressed));
  const tar = mutateTar(random, random.pick(tars), tars);
  return random.once(2) ? gzipSync(tar) : zstdCompressSync(tar);
}

function mutateArchive(random: Random): Buffer {
  const files = random.pick(archives);
  const chosen = random.below(files.length);
  const members = files.map(([name, content], index) => {
    if (index !== chosen) return { name, data: content };
    const data = typeof content === "string" ? mutateJson(random, content) : mutateTar(random, content, tars);
    return { name, data: Buffer.from(data) };
  });
  const tar = rawTar(...members);
  return random.once(3) ? mutateTar(random, tar, tars) : tar;
}

async function convertTo(
  layer: string,
  random: Random,
  make: () => Buffer,
  thread: "own" | "another",
): Promise<"taken" | "refused"> {
  const input = make();
  const chunkBytes = 1 + random.below(random.once(3) ? 700 : 20_000);
  const outcome = await judge(async () => {
    await using out = new BufferedFile(layer);
    const builder = new LayerBuilder("the layer", out);
    const { stream } = await decompress("the layer", pieces(input, chunkBytes), thread);
    for await (const chunk of stream) await builder.push(chunk);
    await builder.end();
    await out.finish("written");
  });
  if (outcome === "refused") await rm(layer, { force: true });
  else if (statSync(layer).blocks * 512 > 40_000_000)
    throw new Error(`${input.length} bytes became a layer of ${statSync(layer).blocks * 512} bytes on disk`);
  return outcome;
}

async function* pieces(bytes: Uint8Array, chunkBytes: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes);
}

async function judge(work: () => void | Promise<void>): Promise<"taken" | "refused"> {
  try {
    await work();
    return "taken";
  } catch (error) {
    if (refusals.some((code) => isHullError(error, code))) return "refused";
    throw error;
  }
}
