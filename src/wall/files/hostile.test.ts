/** Records that are mutated, torn or made up, in both directions: from a hostile guest, and into hull-files itself. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { globSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../../host/spawn.ts";
import type { FileEntry, FilePart } from "../files.ts";
import { endRecord, RecordError, RecordWriter } from "./fields.ts";
import { FilesByProcess } from "./files-by-process.ts";
import { filesOperations } from "./protocol.ts";
import { decodeParts, encodeEntry, encodeParts } from "./records.ts";
import { RecordSource, SourceEnded } from "./source.ts";

const guest = join(import.meta.dir, "../../../guest");
const directory = mkdtempSync(join(tmpdir(), "hostile-files-"));
const program = join(directory, "files");

beforeAll(async () => {
  const sources = [...globSync(`${guest}/files/*.c`), `${guest}/agent/common.c`, `${guest}/agent/fields.c`];
  const flags =
    "-std=gnu2x -D_GNU_SOURCE -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined";
  const built = await run(["cc", ...flags.split(" "), "-o", program, `${guest}/test/files.c`, ...sources]);
  expect(built.stderr).toBe("");
}, 120_000);
afterAll(() => rmSync(directory, { recursive: true }));

function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state * 48271) % 0x7fffffff;
    return state % below;
  };
}

type Random = (below: number) => number;

const names = ["a", "b", "d/e", "d/../../x", "/abs", "", ".", "..", "d", "l/x", "é", "x".repeat(300), "d//e"];
const types: readonly FileEntry["type"][] = [
  ...(["file", "directory", "symlink", "hardlink", "fifo", "character-device"] as const),
];

function entryOf(random: Random): FileEntry {
  const type = types[random(types.length)] ?? "file";
  const size = type === "file" ? random(3000) : 0;
  return {
    ...{ type, path: names[random(names.length)] ?? "", linkTarget: names[random(names.length)] ?? "" },
    ...{ mode: random(0o10000), uid: random(70_000), gid: random(70_000), size },
    mtime: { seconds: random(2) === 0 ? -5 : random(0x7fffffff), nanoseconds: random(1_000_000_000) },
    ...{ deviceMajor: 0, deviceMinor: 0 },
    xattrs: new Map(random(4) === 0 ? [["user.a", Buffer.alloc(random(50), 1)]] : []),
    sparse: size > 100 && random(5) === 0 ? [{ offset: 10, length: 20 }] : undefined,
  };
}

async function* partsOf(random: Random, count: number): AsyncGenerator<FilePart, void, undefined> {
  for (let index = 0; index < count; index++) {
    const entry = entryOf(random);
    yield { entry };
    const bytes = entry.sparse === undefined ? entry.size : 20;
    if (bytes > 0) yield { data: Buffer.alloc(bytes, 120) };
  }
}

async function bytesOf(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function mutated(bytes: Buffer, random: Random): Buffer {
  const copy = Buffer.from(bytes);
  for (let flips = random(6); flips > 0; flips--) copy[random(copy.length)] = random(256);
  return random(4) === 0 ? copy.subarray(0, random(copy.length)) : copy;
}

function requestOf(operation: number, path: string, mounts: readonly string[] = []): Buffer {
  const writer = new RecordWriter().u8(operation).u8(0).u32(0).u32(0).text(path).u32(mounts.length);
  for (const mount of mounts) writer.text(mount);
  return writer.record();
}

test("what a guest may send is read or refused, and a path that passes leads down", async () => {
  for (let seed = 1; seed <= 3000; seed++) {
    const random = randomOf(seed);
    const bytes = mutated(await bytesOf(encodeParts(partsOf(random, 1 + random(5)))), random);
    async function* pieces(): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < bytes.length; ) {
        const length = 1 + random(700);
        yield bytes.subarray(at, at + length);
        at += length;
      }
    }
    try {
      for await (const part of decodeParts(new RecordSource(pieces()), true))
        if ("entry" in part && part.entry.path !== "")
          for (const name of part.entry.path.split("/")) expect(["", ".", ".."]).not.toContain(name);
    } catch (error) {
      if (!(error instanceof RecordError) && !(error instanceof SourceEnded)) throw error;
    }
  }
});

/** The files of the next attempt, and one outside of them that nothing may change. */
function places(): { readonly root: string; readonly upper: string; readonly outside: string } {
  const at = mkdtempSync(join(directory, "place-"));
  const [root, upper, outside] = [join(at, "root"), join(at, "upper"), join(at, "x")];
  mkdirSync(join(root, "d/e"), { recursive: true });
  mkdirSync(upper);
  writeFileSync(outside, "untouched");
  writeFileSync(join(root, "a"), "content");
  symlinkSync(at, join(root, "l"));
  return { root, upper, outside };
}

async function feed(input: Buffer, root: string, upper: string) {
  const child = Bun.spawn([program, root, upper, root], {
    stdio: ["pipe", "pipe", "pipe"],
    env: { ASAN_OPTIONS: "detect_leaks=0" },
    timeout: 20_000,
  });
  void child.stdin.write(input);
  void child.stdin.end();
  const [stdout, stderr, code] = await Promise.all([child.stdout.bytes(), child.stderr.text(), child.exited]);
  return { stdout, stderr, code };
}

test("records of every kind, mutated and torn, do hull-files no harm and lead it nowhere", async () => {
  for (let seed = 1; seed <= 150; seed++) {
    const random = randomOf(seed * 7919);
    const { root, upper, outside } = places();
    const operation = random(3) === 0 ? 1 + random(6) : filesOperations.write;
    const path = ["/", "/d", "/l", "/a", "/none", "/d/../..", "relative"][random(7)] ?? "/";
    const request = requestOf(operation, path, random(20) === 0 ? ["/d"] : []);
    const body = await bytesOf(encodeParts(partsOf(random, random(12))));
    const input = Buffer.concat([
      random(8) === 0 ? mutated(request, random) : request,
      mutated(body, random),
    ]);
    const { stderr, code } = await feed(input, root, upper);
    expect([seed, stderr.includes("Sanitizer") || stderr.includes("runtime error"), code < 20]).toEqual([
      seed,
      false,
      true,
    ]);
    expect(await Bun.file(outside).text()).toBe("untouched");
    rmSync(join(root, ".."), { recursive: true });
  }
}, 240_000);

test("what was written is read back as it was, holes and attributes included", async () => {
  const { root, upper } = places();
  const entries: FileEntry[] = [
    {
      ...entryOf(randomOf(1)),
      type: "directory",
      path: "n",
      linkTarget: "",
      mode: 0o2755,
      size: 0,
      sparse: undefined,
      xattrs: new Map(),
    },
    {
      ...entryOf(randomOf(2)),
      type: "file",
      path: "n/\xff name",
      linkTarget: "",
      mode: 0o4711,
      size: 5_000_000,
      sparse: [
        { offset: 4096, length: 4096 },
        { offset: 5_000_000, length: 0 },
      ],
      xattrs: new Map(),
    },
    {
      ...entryOf(randomOf(3)),
      type: "symlink",
      path: "n/s",
      linkTarget: "\xff name",
      mode: 0o777,
      size: 0,
      sparse: undefined,
      xattrs: new Map(),
    },
  ];
  const records = entries.flatMap((entry) => [
    encodeEntry(entry),
    entry.type === "file" ? Buffer.alloc(4096, 65) : Buffer.alloc(0),
  ]);
  const written = await feed(
    Buffer.concat([requestOf(filesOperations.write, "/d"), ...records, endRecord]),
    root,
    upper,
  );
  expect([written.stderr, written.code]).toEqual(["", 0]);
  const { stdout } = await feed(
    Buffer.concat([requestOf(filesOperations.read, "/d/n"), endRecord]),
    root,
    upper,
  );
  async function* once(): AsyncGenerator<Uint8Array> {
    yield stdout;
  }
  const found = new Map<string, FileEntry["mode"]>();
  let data = 0;
  for await (const part of decodeParts(new RecordSource(once()), true))
    if ("entry" in part) {
      found.set(part.entry.path, part.entry.mode);
      if (part.entry.path === "\xff name") expect(part.entry.sparse).toEqual(entries[1]?.sparse);
      if (part.entry.type === "symlink") expect(part.entry.linkTarget).toBe("\xff name");
    } else data += part.data.length;
  expect([...found]).toEqual([
    ["", 0o2755],
    ["s", 0o777],
    ["\xff name", 0o4711],
  ]);
  expect(data).toBe(4096);
});

test("a guest that tells of a whiteout where there is no layer is refused by name", async () => {
  let killed = 0;
  const plain = entryOf(randomOf(1));
  const entry = encodeEntry({ ...plain, type: "whiteout", path: "a", size: 0, sparse: undefined });
  // What is read says besides whether it hides, and what is below.
  const told = new RecordWriter().bytes(Buffer.concat([entry.subarray(4), Buffer.alloc(34)])).record();
  const files = new FilesByProcess({
    name: "box",
    mounts: [],
    start: () =>
      Promise.resolve({
        output: (async function* () {
          yield told.subarray(4);
        })(),
        write: () => Promise.resolve(),
        endInput: () => Promise.resolve(),
        wait: () => Promise.resolve({ code: 0, message: "" }),
        kill: () => void killed++,
      }),
  });
  const broken = { code: "filesFailed", message: expect.stringContaining("box") };
  await expect(files.status("/a")).rejects.toMatchObject(broken);
  await expect(Array.fromAsync(files.read("/a"))).rejects.toMatchObject(broken);
  expect(killed).toBe(2);
});
