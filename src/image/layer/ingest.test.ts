/** Layers large enough for a process of their own: the same result, the same errors, nothing left. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { isHullError } from "../../contract/errors.ts";
import { ContentStore } from "../content/content-store.ts";
import { convert } from "../testing/convert.ts";
import { must } from "../testing/programs.ts";
import { file, rawTar } from "../testing/raw-tar.ts";
import { tempDirectory } from "../testing/temp.ts";
import { ingestLayer } from "./ingest.ts";

setDefaultTimeout(120_000);

/** Of more than a megabyte however it is compressed. */
const noise = Buffer.concat(Array.from({ length: 64 }, () => crypto.getRandomValues(new Uint8Array(65_536))));
const tar = rawTar({ name: "noise", data: noise }, file("small"), {
  name: "zeros",
  data: Buffer.alloc(5_000_000),
});
const what = "the layer";

async function* chunksOf(bytes: Uint8Array, chunkBytes = 100_000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    yield bytes.subarray(at, at + chunkBytes);
    await Bun.sleep(0);
  }
}

async function withStore<T>(work: (content: ContentStore, root: string) => Promise<T>): Promise<T> {
  await using temp = await tempDirectory();
  return await work(await ContentStore.open(temp.path), temp.path);
}

function leftOf(root: string): string[] {
  return ["content/temp", "content/blobs/sha256", "layers"].flatMap((name) => readdirSync(join(root, name)));
}

/** Processes that this one has started for layers. */
function converters(): number[] {
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, "utf8").split(" ");
  return children.filter((pid) => pid.trim() !== "" && commandOf(pid).includes("convert-layers")).map(Number);
}

/** Empty for a process that has gone meanwhile. */
function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return "";
  }
}

test("a layer that is long on its way tells how much of it was taken in", async () => {
  await withStore(async (content) => {
    const taken: number[] = [];
    // What follows an archive's end belongs to the layer, too.
    async function* slow(): AsyncGenerator<Uint8Array> {
      yield* chunksOf(tar);
      while (taken.length < 2) {
        yield Buffer.alloc(1024 * 1024, "end");
        await Bun.sleep(10);
      }
    }
    const { blobBytes } = await ingestLayer(content, slow(), { what, onTaken: (bytes) => taken.push(bytes) });
    expect(taken[0]).toBeGreaterThan(0);
    expect(taken[1]).toBeGreaterThan(taken[0] ?? 0);
    expect(taken.at(-1)).toBeLessThanOrEqual(blobBytes);
  });
});

test("whatever its compression, the layer is the one that this process makes", async () => {
  await using temp = await tempDirectory();
  await convert(tar, join(temp.path, "expected"));
  const expected = readFileSync(join(temp.path, "expected"));
  await Bun.write(join(temp.path, "tar"), tar);
  await must("xz", "-1", join(temp.path, "tar"));
  const xz = readFileSync(join(temp.path, "tar.xz"));
  const skippable = Buffer.from([0x5a, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4]);
  const half = Math.floor(tar.length / 2);
  const forms: readonly (readonly [string, Uint8Array])[] = [
    ["none", tar],
    ["gzip", gzipSync(tar)],
    ["gzip", Buffer.concat([gzipSync(tar.subarray(0, half)), gzipSync(tar.subarray(half)), gzipSync("")])],
    ["gzip", Buffer.concat([gzipSync(tar), Buffer.alloc(1000)])],
    ["zstd", zstdCompressSync(tar)],
    // As zstd:chunked has it: frames, and a table of contents in frames to be skipped.
    [
      "zstd",
      Buffer.concat([
        ...[
          zstdCompressSync(tar.subarray(0, half)),
          skippable,
          zstdCompressSync(tar.subarray(half)),
          skippable,
        ],
      ]),
    ],
    ["none", xz],
  ];
  for (const [compression, bytes] of forms) {
    await withStore(async (content) => {
      const layer = await ingestLayer(content, chunksOf(bytes), { what });
      expect(layer.compression).toBe(compression as typeof layer.compression);
      expect(readFileSync(content.layerPath(layer.diffId)).equals(expected)).toBe(true);
      const kept = readFileSync(content.blobPath(layer.blob));
      expect(kept.equals(bytes === xz ? tar : bytes)).toBe(true);
      expect(layer).toMatchObject({ layerBytes: expected.length, blobBytes: kept.length });
    });
  }
});

test("what is broken is said as this process would say it, and nothing is left", async () => {
  const broken: readonly (readonly [Uint8Array, RegExp])[] = [
    [gzipSync(tar).subarray(0, -20_000), /the layer is corrupt: unexpected end of file/],
    [zstdCompressSync(tar).subarray(0, -20_000), /the layer is corrupt: unexpected end/],
    [Buffer.concat([gzipSync(tar), Buffer.from("no gzip")]), /the layer is corrupt: incorrect header check/],
    [tar.subarray(0, -3_000_000), /the layer is corrupt: it ends in the middle of the member "zeros"/],
    [rawTar({ name: "n", data: noise }, file("../escape")), /"..\/escape" has a ".." in it/],
  ];
  for (const [bytes, message] of broken) {
    await withStore(async (content, root) => {
      const outcome = await ingestLayer(content, chunksOf(bytes), { what }).catch((error: unknown) => error);
      expect(isHullError(outcome, "corrupt")).toBe(true);
      expect(String(outcome)).toMatch(message);
      expect(leftOf(root)).toEqual([]);
    });
  }
});

test("a source that fails is reported as it failed, and its process converts no more", async () => {
  await withStore(async (content, root) => {
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield* chunksOf(tar.subarray(0, 3_000_000));
      throw new Error("the line is dead");
    }
    await expect(ingestLayer(content, failing(), { what })).rejects.toThrow("the line is dead");
    await ingestLayer(content, chunksOf(tar), { what });
    expect(leftOf(root).length).toBe(2);
  });
});

test("a layer whose process is killed fails, and the next one does not", async () => {
  await withStore(async (content, root) => {
    async function* killing(): AsyncGenerator<Uint8Array> {
      yield* chunksOf(tar.subarray(0, 3_000_000));
      for (const pid of converters()) process.kill(pid, "SIGKILL");
      yield* chunksOf(tar.subarray(3_000_000));
    }
    const outcome = await ingestLayer(content, killing(), { what }).catch((error: unknown) => error);
    expect(String(outcome)).toMatch(/the layer was not converted: its process ended with 137: try again/);
    expect(leftOf(root)).toEqual([]);
    const { diffId } = await ingestLayer(content, chunksOf(tar), { what });
    expect(leftOf(root).length).toBe(2);
    expect(diffId).toStartWith("sha256:");
  });
});

test("many layers at once are converted by few processes, and all are right", async () => {
  await withStore(async (content) => {
    const tars = Array.from({ length: 8 }, (_, i) => rawTar(file(String(i)), { name: "noise", data: noise }));
    let most = 0;
    const watch = setInterval(() => {
      most = Math.max(most, converters().length);
    }, 5);
    const layers = await Promise.all(tars.map((each) => ingestLayer(content, chunksOf(each), { what })));
    clearInterval(watch);
    expect(new Set(layers.map(({ diffId }) => diffId)).size).toBe(8);
    expect(most).toBeLessThanOrEqual(3);
    expect(most).toBeGreaterThan(0);
  });
});
