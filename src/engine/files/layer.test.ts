import { describe, expect, test } from "bun:test";
import { isHullError } from "../../contract/errors.ts";
import { TarParser } from "../../image/tar/parser.ts";
import type { FileType, LayerEntry, LayerPart } from "../../wall/files.ts";
import { changesOf } from "./changes.ts";
import { layerTar } from "./layer.ts";

type Below = LayerEntry["below"];

function entry(type: LayerEntry["type"], path: string, changes: Partial<LayerEntry> = {}): LayerEntry {
  return {
    ...{ type, path, linkTarget: "", mode: type === "directory" ? 0o755 : 0o644, uid: 0, gid: 0, size: 0 },
    ...{ mtime: { seconds: 100, nanoseconds: 5 }, deviceMajor: 0, deviceMinor: 0, xattrs: new Map() },
    ...{ sparse: undefined, opaque: false, below: undefined },
    ...changes,
  };
}

function below(type: FileType, changes: Partial<NonNullable<Below>> = {}): Below {
  const mode = type === "directory" ? 0o755 : 0o644;
  return { type, mode, uid: 0, gid: 0, mtime: { seconds: 100, nanoseconds: 5 }, size: 0, ...changes };
}

/** What the container wall leaves for a workload that did nothing. */
const untouched = [
  entry("directory", "", { below: below("directory"), mtime: { seconds: 200, nanoseconds: 0 } }),
  entry("directory", "dev"),
  entry("directory", "etc", { below: below("directory"), mtime: { seconds: 200, nanoseconds: 0 } }),
  entry("file", "etc/hosts"),
  entry("directory", "proc"),
];

const changed = [
  ...untouched.slice(0, 4),
  entry("file", "etc/motd", { size: 3 }),
  entry("whiteout", "etc/old", { below: below("file") }),
  entry("directory", "home", { opaque: true, below: below("directory") }),
  entry("file", "home/new"),
  entry("directory", "usr", { below: below("directory") }),
  entry("directory", "usr/bin", { below: below("directory") }),
  entry("hardlink", "usr/bin/x", { linkTarget: "etc/motd" }),
  entry("directory", "var", { below: below("directory") }),
];

async function* each<T>(values: readonly T[]): AsyncGenerator<T, void, undefined> {
  yield* values;
}

async function* withData(entries: readonly LayerEntry[]): AsyncGenerator<LayerPart, void, undefined> {
  for (const one of entries) {
    yield { entry: one };
    if (one.type === "file" && one.size > 0) yield { data: Buffer.alloc(one.size, 97) };
  }
}

async function membersOf(entries: readonly LayerEntry[]): Promise<{ names: string[]; bytes: Buffer }> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of layerTar(withData(entries), () => undefined)) chunks.push(chunk);
  const bytes = Buffer.concat(chunks);
  const names: string[] = [];
  const parser = new TarParser("it", {
    entry: ({ path, type, linkTarget }) => names.push(`${type} ${path}${linkTarget && `>${linkTarget}`}`),
    data: () => undefined,
    entryEnd: () => undefined,
  });
  parser.push(bytes);
  parser.end();
  return { names, bytes };
}

describe("changes", () => {
  test("what a wall makes for itself is no change of the workload's", async () => {
    expect(await changesOf(each(untouched))).toEqual([]);
  });

  test("directories on the way to a change are told, others that are as they were are not", async () => {
    const changes = await changesOf(each(changed));
    expect(changes.map(({ kind, path }) => `${kind.charAt(0)} ${path}`)).toEqual([
      ...["m /etc", "a /etc/motd", "d /etc/old", "m /home", "a /home/new", "m /usr", "m /usr/bin"],
      "a /usr/bin/x",
    ]);
  });

  test("the identity that a machine is given at its start is none, and one that was there is", async () => {
    const given = entry("file", "etc/machine-id", { size: 33, below: below("file") });
    expect(await changesOf(each([given]))).toEqual([]);
    const other = entry("file", "etc/machine-id", { size: 33, below: below("file", { size: 33 }) });
    expect((await changesOf(each([other]))).length).toBe(1);
  });
});

describe("a layer", () => {
  test("has marks for what is gone and for what is hidden", async () => {
    const { names } = await membersOf(changed);
    expect(names).toEqual([
      ...["directory etc/", "file etc/motd", "file etc/.wh.old", "directory home/", "file home/.wh..wh..opq"],
      ...["file home/new", "directory usr/", "directory usr/bin/", "hardlink usr/bin/x>etc/motd"],
      "directory var/",
    ]);
  });

  test("is empty for a workload that did nothing, and says so", async () => {
    let told = false;
    const chunks: Uint8Array[] = [];
    for await (const chunk of layerTar(withData(untouched), () => (told = true))) chunks.push(chunk);
    expect(told).toBe(false);
    expect(Buffer.concat(chunks)).toEqual(Buffer.alloc(1024));
  });

  test("has the root only if it was changed", async () => {
    const root = entry("directory", "", { mode: 0o700, below: below("directory") });
    expect((await membersOf([root])).names).toEqual(["directory ./"]);
  });

  test("is the same bytes for the same files", async () => {
    expect((await membersOf(changed)).bytes).toEqual((await membersOf(changed)).bytes);
  });

  test("a sparse file is told by its data alone", async () => {
    const sparse = [
      { offset: 4096, length: 10 },
      { offset: 1_000_000, length: 0 },
    ];
    const parts = async function* (): AsyncGenerator<LayerPart, void, undefined> {
      yield { entry: entry("file", "hole", { size: 1_000_000, sparse }) };
      yield { data: Buffer.alloc(10, 98) };
    };
    const found: [number, string][] = [];
    let size = 0;
    const parser = new TarParser("it", {
      entry: (one) => {
        size = one.size;
        expect(one.path).toBe("hole");
      },
      data: (bytes, offset) => found.push([offset, Buffer.from(bytes).toString()]),
      entryEnd: () => undefined,
    });
    for await (const chunk of layerTar(parts(), () => undefined)) parser.push(chunk);
    parser.end();
    expect([size, found]).toEqual([1_000_000, [[4096, "bbbbbbbbbb"]]]);
  });

  test("a file that is called like a mark is refused", async () => {
    const failure = await membersOf([entry("file", "a/.wh.b")]).catch((error: unknown) => error);
    expect(isHullError(failure, "unsupported")).toBe(true);
  });
});
