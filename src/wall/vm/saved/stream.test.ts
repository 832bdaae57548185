/** QEMU's migration stream, parted: as QEMU sends it in pieces of any size, and as a QEMU that lies would. */

import { heapStats } from "bun:jsc";
import { expect, test } from "bun:test";
import { MemoryStream } from "./stream.ts";

const pageBytes = 4096;
const memoryBytes = 8 * pageBytes;
const firmwareBytes = 2 * pageBytes;
const id = 2;

function be32(...values: number[]): Buffer {
  const data = Buffer.alloc(4 * values.length);
  for (const [index, value] of values.entries()) data.writeUInt32BE(value, 4 * index);
  return data;
}

function be64(value: number): Buffer {
  const data = Buffer.alloc(8);
  data.writeBigUInt64BE(BigInt(value));
  return data;
}

function named(name: string): Buffer {
  return Buffer.concat([Buffer.of(name.length), Buffer.from(name)]);
}

/** An entry for a page: filled with a byte, or of zeros. */
function page(address: number, fill: number | "zero", block?: string): Buffer {
  const flags = (fill === "zero" ? 0x02 : 0x08) | (block === undefined ? 0x20 : 0);
  return Buffer.concat([
    be64(address | flags),
    block === undefined ? Buffer.alloc(0) : named(block),
    fill === "zero" ? Buffer.of(0) : Buffer.alloc(pageBytes, fill),
  ]);
}

const head = Buffer.concat([be32(0x5145564d, 3), Buffer.of(7), be32(5), Buffer.from("pc-q3")]);
const footer = Buffer.concat([Buffer.of(0x7e), be32(id)]);
const end = be64(0x10);
const devices = Buffer.from("\x04what follows is for QEMU alone\x00");

/** A command with its number, and nothing that belongs to it. */
function command(number: number): Buffer {
  return Buffer.concat([Buffer.of(8), be32(number << 16)]);
}

interface Parts {
  readonly blocks?: readonly (readonly [string, number])[];
  readonly pages?: readonly Buffer[];
  readonly section?: string;
  readonly command?: number;
}

function streamOf({ blocks, pages = [], section = "ram", command: number }: Parts): Buffer {
  const all = blocks ?? [["memory", memoryBytes] as const, ["pc.bios", firmwareBytes] as const];
  const total = all.reduce((sum, [, bytes]) => sum + bytes, 0);
  const list = all.map(([name, bytes]) => Buffer.concat([named(name), be64(bytes)]));
  return Buffer.concat([
    head,
    ...[Buffer.of(1), be32(id), named(section), be32(0, 4), be64(total | 0x04), ...list, end, footer],
    ...[Buffer.of(2), be32(id), ...pages, end, footer],
    ...(number === undefined ? [] : [command(number)]),
    ...[Buffer.of(3), be32(id), end, footer],
    devices,
  ]);
}

function part(data: Buffer, pieceBytes: number): { memory: Buffer; rest: Buffer } {
  const memory = Buffer.alloc(memoryBytes);
  const stream = new MemoryStream({
    memoryBytes,
    names: ["memory", "pc.ram"],
    write: (bytes, offset) => void bytes.copy(memory, offset),
  });
  for (let at = 0; at < data.length; at += pieceBytes) stream.push(data.subarray(at, at + pieceBytes));
  return { memory, rest: stream.finish() };
}

const pages = [
  page(0, 1, "memory"),
  page(pageBytes, 2),
  page(2 * pageBytes, "zero"),
  page(0, 9, "pc.bios"),
  page(pageBytes, "zero"),
  page(5 * pageBytes, 3, "memory"),
];

test.each([1, 7, 4096, 5000, 1_000_000])("memory and state are parted, in pieces of %d bytes", (size) => {
  const { memory, rest } = part(streamOf({ pages }), size);
  const expected = Buffer.alloc(memoryBytes);
  expected
    .fill(1, 0, pageBytes)
    .fill(2, pageBytes, 2 * pageBytes)
    .fill(3, 5 * pageBytes, 6 * pageBytes);
  expect(memory.equals(expected)).toBe(true);
  expect(rest.equals(streamOf({ pages: pages.slice(3, 5) }))).toBe(true);
});

test("what QEMU 10 says before the last of the memory stays in the state", () => {
  const { rest } = part(streamOf({ pages, command: 11 }), 4096);
  expect(rest.equals(streamOf({ pages: pages.slice(3, 5), command: 11 }))).toBe(true);
});

test("a page that is sent again counts as it was sent last", () => {
  const { memory } = part(
    streamOf({ pages: [page(0, 1, "memory"), page(0, "zero"), page(pageBytes, 4)] }),
    9999,
  );
  expect(memory.equals(Buffer.alloc(memoryBytes).fill(4, pageBytes, 2 * pageBytes))).toBe(true);
});

const lies: readonly (readonly [string, Buffer, string])[] = [
  ["something else", Buffer.from("GET / HTTP/1.1\r\n\r\n"), "something else"],
  ["a page beyond the memory", streamOf({ pages: [page(memoryBytes, 1, "memory")] }), "no place"],
  ["a page of an unknown block", streamOf({ pages: [page(0, 1, "other")] }), "no place"],
  ["a page of no block", streamOf({ pages: [page(0, 1)] }), "no place"],
  ["memory of another size", streamOf({ blocks: [["memory", memoryBytes + pageBytes]] }), "another size"],
  ["memory that is not there", streamOf({ blocks: [["pc.bios", memoryBytes]] }), "another size"],
  [
    "a block twice",
    streamOf({
      blocks: [
        ["memory", memoryBytes],
        ["memory", memoryBytes],
      ],
    }),
    "too many pieces",
  ],
  [
    "blocks without a size",
    streamOf({
      blocks: [
        ["x", 0],
        ["memory", memoryBytes],
      ],
    }),
    "too many pieces",
  ],
  ["another command", streamOf({ command: 7 }), "unexpected section"],
  ["another section first", streamOf({ section: "slirp" }), "unexpected section"],
  ["pages in another way", streamOf({ pages: [be64(0x40)] }), "unexpected way"],
  [
    "zeros that are none",
    streamOf({ pages: [Buffer.concat([be64(0x02), named("memory"), Buffer.of(7)])] }),
    "neither data nor zeros",
  ],
  [
    "the same page for ever",
    streamOf({ pages: Array.from({ length: 17 }, () => page(0, 1, "memory")) }),
    "memory has no end",
  ],
];
test.each(lies)("%s is refused", (_, data, why) => {
  expect(() => part(data, 4096)).toThrow(why);
});

test("a stream that breaks off within the memory is refused", () => {
  expect(() => part(streamOf({ pages }).subarray(0, 9000), 4096)).toThrow("ends within the memory");
});

test("a state of very many small entries takes their bytes and no more, and has an end", () => {
  const entries = 100_000;
  const flood = Buffer.concat([
    page(0, "zero", "pc.bios"),
    ...Array.from({ length: entries }, () => page(pageBytes, "zero")),
  ]);
  const data = streamOf({ pages: [flood] });
  const objects = (): number => {
    Bun.gc(true);
    return heapStats().objectCount;
  };
  const before = objects();
  const stream = new MemoryStream({ memoryBytes, names: ["memory"], write: () => undefined });
  stream.push(data);
  expect(objects() - before).toBeLessThan(entries / 10);
  expect(stream.finish().equals(data)).toBe(true);
  const more = Buffer.alloc(1024 * 1024);
  expect(() => {
    for (let count = 0; count < 64; count++) stream.push(more);
  }).toThrow("no end");
});
