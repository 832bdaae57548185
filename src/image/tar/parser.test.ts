/** The tar reader against broken input: an error that says where, never a hang, never anything else. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { HullError } from "../../contract/errors.ts";
import { must, python } from "../testing/programs.ts";
import { tempDirectory } from "../testing/temp.ts";
import type { TarEntry } from "./entry.ts";
import { TarParser } from "./parser.ts";
import { writeTar } from "./writer.ts";

// Other programs do much of the work, on a machine that may be busy.
setDefaultTimeout(120_000);

interface Parsed {
  readonly entries: TarEntry[];
  readonly data: number;
}

function parse(bytes: Uint8Array, chunkBytes = bytes.length): Parsed {
  const entries: TarEntry[] = [];
  let data = 0;
  let open = 0;
  const parser = new TarParser("the archive", {
    entry: (entry) => {
      entries.push(entry);
      open++;
    },
    data: (part) => {
      data += part.length;
    },
    entryEnd: () => {
      open--;
    },
  });
  for (let at = 0; at < bytes.length; at += Math.max(1, chunkBytes))
    parser.push(bytes.subarray(at, at + Math.max(1, chunkBytes)));
  parser.end();
  expect(open).toBe(0);
  return { entries, data };
}

/** The error's code, or `fine`. Anything but Hull's own errors is rethrown. */
function outcome(bytes: Uint8Array): string {
  try {
    parse(bytes);
    return "fine";
  } catch (error) {
    if (error instanceof HullError) return error.code;
    throw error;
  }
}

async function sample(...formatArguments: string[]): Promise<Buffer> {
  await using temp = await tempDirectory();
  const source = join(temp.path, "s");
  await must("mkdir", source);
  await python(
    `import os, sys
os.chdir(sys.argv[1])
open('a', 'w').write('hello' * 300); os.symlink('a', 'l'); os.link('a', 'h'); os.makedirs('x' * 120 + '/' + 'y' * 120)
os.setxattr('a', 'user.k', bytes(range(40)))
with open('s', 'wb') as f:
    for i in range(30): f.seek(i * 16384); f.write(b'd')
`,
    source,
  );
  const tar = join(temp.path, "t.tar");
  await must("tar", ...formatArguments, "-S", "-cf", tar, "-C", source, ".");
  return readFileSync(tar);
}

const formats: readonly (readonly string[])[] = [
  ["--format=pax", "--xattrs"],
  ["--format=pax", "--sparse-version=0.1"],
  ["--format=gnu"],
];

for (const format of formats) {
  test(`${format.join(" ")}: any size of chunks gives the same members`, async () => {
    const bytes = await sample(...format);
    const whole = parse(bytes);
    expect(whole.entries.length).toBe(7);
    for (const chunkBytes of [1, 7, 511, 512, 513, 4096]) expect(parse(bytes, chunkBytes)).toEqual(whole);
  });

  test(`${format.join(" ")}: an archive cut off anywhere is corrupt, or ends after a member's data`, async () => {
    const bytes = await sample(...format);
    const end = bytes.lastIndexOf("d") + 1;
    let fine = 0;
    for (let length = 0; length < end; length += 37)
      if (outcome(bytes.subarray(0, length)) === "fine") fine++;
    for (let length = 0; length < end; length += 512) {
      const result = outcome(bytes.subarray(0, length));
      expect(["fine", "corrupt"]).toContain(result);
    }
    // Between members, and within the padding of one: writers leave that out at an archive's end.
    expect(fine).toBeLessThan(20);
  });

  test(`${format.join(" ")}: a byte that is wrong is found, or is data`, async () => {
    const bytes = await sample(...format);
    const counts: Record<string, number> = {};
    for (let at = 0; at < bytes.length; at += 41) {
      for (const value of [0, 0xff, (bytes[at] ?? 0) ^ 0x01, 0x39]) {
        const broken = Buffer.from(bytes);
        broken[at] = value;
        const result = outcome(broken);
        counts[result] = (counts[result] ?? 0) + 1;
      }
    }
    expect(Object.keys(counts).filter((code) => !["fine", "corrupt", "tooLarge"].includes(code))).toEqual([]);
    expect(counts.corrupt).toBeGreaterThan(100);
  });
}

test("random bytes are no archive", () => {
  for (let i = 0; i < 50; i++)
    expect(outcome(crypto.getRandomValues(new Uint8Array(2048 + i * 100)))).toBe("corrupt");
});

/** A header with fields of our choice and the right checksum. */
function header(fields: Readonly<Record<number, string>>): Buffer {
  const [block] = writeTar([{ path: "name", type: "file", mode: 0o644 }]);
  const out = Buffer.from(block ?? []);
  for (const [at, text] of Object.entries(fields)) out.write(text, Number(at), "latin1");
  out.fill(32, 148, 156);
  const sum = out.reduce((total, byte) => total + byte, 0);
  out.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return out;
}

function withPayload(type: string, payload: string): Buffer {
  const size = Buffer.byteLength(payload, "latin1");
  const block = header({ 156: type, 124: `${size.toString(8).padStart(11, "0")}\0` });
  const padded = Buffer.alloc(Math.ceil(size / 512) * 512);
  padded.write(payload, "latin1");
  return Buffer.concat([block, padded]);
}

function records(...texts: string[]): string {
  return texts
    .map((text) => {
      let length = text.length + 2;
      while (`${length} ${text}\n`.length !== length) length = `${length} ${text}\n`.length;
      return `${length} ${text}\n`;
    })
    .join("");
}

const pax = (...texts: string[]) => withPayload("x", records(...texts));

const file = header({});

const refused: readonly (readonly [what: string, bytes: Buffer, code: string])[] = [
  ["a name of 5000 bytes", Buffer.concat([withPayload("L", `${"n".repeat(5000)}\0`), file]), "corrupt"],
  ["a PAX path of 5000 bytes", Buffer.concat([pax(`path=${"n".repeat(5000)}`), file]), "corrupt"],
  ["a PAX path with a NUL", Buffer.concat([pax("path=a\0b"), file]), "corrupt"],
  ["a PAX header over 1 MiB", header({ 156: "x", 124: "00010000000\0" }), "corrupt"],
  ["a PAX record with a wrong length", Buffer.concat([withPayload("x", "99 path=a\n"), file]), "corrupt"],
  ["a PAX record without a key", Buffer.concat([withPayload("x", "5 =a\n"), file]), "corrupt"],
  ["a PAX record without a newline", Buffer.concat([withPayload("x", "9 path=ab"), file]), "corrupt"],
  ["a PAX header at the end", pax("path=a"), "corrupt"],
  ["global headers over 16 KiB", withPayload("g", records(`path=${"n".repeat(17_000)}`)), "corrupt"],
  ["a size that is no number", Buffer.concat([pax("size=12x"), file]), "corrupt"],
  ["a size beyond 2^53", Buffer.concat([pax("size=99999999999999999"), file]), "corrupt"],
  ["a time that is no number", Buffer.concat([pax("mtime=today"), file]), "corrupt"],
  ["an owner beyond 32 bits", Buffer.concat([pax("uid=4294967296"), file]), "corrupt"],
  ["a negative size", header({ 124: "\xff".repeat(12) }), "corrupt"],
  ["a size of 2^90", header({ 124: `\x80\x04${"\0".repeat(10)}` }), "corrupt"],
  ["an unknown type", header({ 156: "Z" }), "corrupt"],
  ["octal digits that are none", header({ 100: "0000899\0" }), "corrupt"],
  [
    "an attribute over 64 KiB",
    Buffer.concat([pax(`SCHILY.xattr.user.x=${"v".repeat(65536)}`), file]),
    "corrupt",
  ],
  [
    "a sparse map out of order",
    Buffer.concat([pax("GNU.sparse.size=99", "GNU.sparse.map=50,0,10,0"), file]),
    "corrupt",
  ],
  [
    "a sparse map beyond the file",
    Buffer.concat([pax("GNU.sparse.size=9", "GNU.sparse.map=50,0"), file]),
    "corrupt",
  ],
  [
    "a sparse map of an odd length",
    Buffer.concat([pax("GNU.sparse.size=9", "GNU.sparse.map=1,0,2"), file]),
    "corrupt",
  ],
  [
    "more sparse data than is stored",
    Buffer.concat([pax("GNU.sparse.size=9", "GNU.sparse.map=0,9"), file]),
    "corrupt",
  ],
  ["an unknown sparse format", Buffer.concat([pax("GNU.sparse.major=2"), file]), "corrupt"],
  ["a member behind the end", Buffer.concat([file, Buffer.alloc(512), file]), "corrupt"],
];

for (const [what, bytes, code] of refused) {
  test(`refused: ${what}`, () => {
    expect(outcome(bytes)).toBe(code);
  });
}

test("an error says which member and where", () => {
  const bytes = Buffer.concat([file, pax("path=some/where"), header({ 156: "Z" })]);
  expect(() => parse(bytes)).toThrow(
    /the archive is corrupt: the member .* at byte 512: its type "Z" is not known/,
  );
});

test("signed checksums, negative times, base-256 numbers and empty records are read", () => {
  const old = header({ 0: "\xe4\xf6\xfc" });
  const signed = old.reduce(
    (total, byte, at) => total + (at >= 148 && at < 156 ? 32 : byte > 127 ? byte - 256 : byte),
    0,
  );
  old.write(`${signed.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  const bytes = Buffer.concat([
    old,
    header({ 108: "\x80\0\0\0\xb2\xd0\x5e\0", 136: "\xff".repeat(12) }),
    pax("mtime=-1.25", "uid=7", "path=long/name"),
    file,
    withPayload("g", "9 uid=42\n"),
    header({ 0: "global" }),
    pax("uid="),
    header({ 0: "undone", 108: "0000005\0" }),
  ]);
  const { entries } = parse(bytes);
  expect(entries.map(({ path, uid }) => [path, uid])).toEqual([
    ["äöüe", 0],
    ["name", 3_000_000_000],
    ["long/name", 7],
    ["global", 42],
    ["undone", 5],
  ]);
  expect(entries[1]?.mtime).toEqual({ seconds: -1, nanoseconds: 0 });
  expect(entries[2]?.mtime).toEqual({ seconds: -2, nanoseconds: 750_000_000 });
});

test("global records that say nothing of a member are not kept, however long", () => {
  const comment = withPayload("g", records(`comment=${"c".repeat(500_000)}`));
  expect(parse(Buffer.concat([comment, comment, file])).entries.length).toBe(1);
});

test("only files have data, whatever other types say about their size", () => {
  const link = header({ 156: "1", 157: "name", 124: "00000001000\0" });
  expect(parse(Buffer.concat([file, link, header({ 0: "next" })])).entries.map(({ path }) => path)).toEqual([
    "name",
    "name",
    "next",
  ]);
});

test("an archive without zero blocks, one of zero blocks only and an empty one are whole", () => {
  expect(parse(file).entries.length).toBe(1);
  expect(parse(Buffer.alloc(1024)).entries.length).toBe(0);
  expect(parse(Buffer.alloc(0)).entries.length).toBe(0);
});

test("what follows the end is not read", () => {
  expect(parse(Buffer.concat([file, Buffer.alloc(1024), Buffer.from("rubbish")])).entries.length).toBe(1);
});
