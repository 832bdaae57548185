/** Changes to good input: of bytes, of whole stretches, of the fields of tar headers, of JSON documents. */
import type { Random } from "./random.ts";

const blockSize = 512;
/** Bytes and texts that parsers trip over. */
const bytes = [0, 1, 0x7f, 0x80, 0xff, 0x20, 0x2f, 0x2e, 0x30, 0x37, 0x39, 0x0a];
const texts = [
  ...["..", "../", "/", "//", "/..", ".", "\0", ".wh.", ".wh..wh..opq", ".wh..", "a/b", "\xff\xfe"],
  ...[
    "77777777777",
    "00000000000",
    "-1",
    "\x80\0\0\0\0\0\0\0\0\0\0\x01",
    "\xff\xff\xff\xff\xff\xff\xff\xff",
    "9".repeat(20),
  ],
  ...["path=../x\n", "30 mtime=1e999\n", "GNU.sparse.map=", "SCHILY.xattr.trusted.overlay.opaque=y\n"],
];
/** Where a header's fields are, and their lengths (POSIX ustar). */
const fields: readonly (readonly [at: number, length: number])[] = [
  ...([
    [0, 100],
    [100, 8],
    [108, 8],
    [116, 8],
    [124, 12],
    [136, 12],
    [156, 1],
    [157, 100],
  ] as const),
  ...([
    [257, 8],
    [329, 8],
    [337, 8],
    [345, 155],
    [386, 24],
    [482, 1],
    [483, 12],
  ] as const),
];
const types = "01234567xgLKSVDNMX\0Z";

/** One to a few changes of any bytes. */
export function mutateBytes(random: Random, input: Uint8Array): Buffer {
  let out = Buffer.from(new Uint8Array(input));
  for (let changes = 1 + random.below(4); changes > 0; changes--) out = change(random, out);
  return out;
}

function change(random: Random, input: Buffer<ArrayBuffer>): Buffer<ArrayBuffer> {
  const at = random.below(input.length);
  const length = Math.min(1 + random.below(random.once(4) ? 2000 : 16), input.length - at);
  switch (random.below(8)) {
    case 0:
      if (input.length > 0) input[at] = (input[at] ?? 0) ^ (1 << random.below(8));
      return input;
    case 1:
      if (input.length > 0) input[at] = random.pick(bytes);
      return input;
    case 2:
      input.write(random.pick(texts), at, "latin1");
      return input;
    case 3:
      return input.subarray(0, at);
    case 4:
      return Buffer.concat([input.subarray(0, at), input.subarray(at + length)]);
    case 5:
      return Buffer.concat([input.subarray(0, at + length), input.subarray(at)]);
    case 6:
      return Buffer.concat([input.subarray(0, at), random.bytes(length), input.subarray(at)]);
    default:
      random.bytes(length).copy(input, at);
      return input;
  }
}

/** Changes of tar headers that leave their checksums right, besides changes of any bytes. */
export function mutateTar(random: Random, input: Uint8Array, others: readonly Uint8Array[]): Buffer {
  let out = Buffer.from(input);
  for (let changes = 1 + random.below(5); changes > 0; changes--) {
    const block = random.below(Math.ceil(out.length / blockSize)) * blockSize;
    switch (random.below(6)) {
      case 0:
        return mutateBytes(random, out);
      case 1:
        // A member of another archive, or of this one again.
        out = Buffer.concat([
          out.subarray(0, block),
          slice(random, random.pick(others)),
          out.subarray(block),
        ]);
        break;
      case 2:
        out = Buffer.concat([out.subarray(0, block), out.subarray(block + blockSize)]);
        break;
      default:
        mutateHeader(random, out, block);
    }
  }
  return out;
}

/** Some blocks of an archive. */
function slice(random: Random, other: Uint8Array): Uint8Array {
  const from = random.below(other.length / blockSize) * blockSize;
  return other.subarray(from, from + blockSize * (1 + random.below(6)));
}

function mutateHeader(random: Random, tar: Buffer, at: number): void {
  if (at + blockSize > tar.length) return;
  const header = tar.subarray(at, at + blockSize);
  // Data is no header: it gets another byte at most.
  if (header.toString("latin1", 257, 262) !== "ustar" && !random.once(4)) return;
  const [start, length] = random.pick(fields);
  if (start === 156) header.write(types[random.below(types.length)] ?? "0", 156, "latin1");
  else header.write(fieldValue(random, length), start, length, "latin1");
  header.fill(32, 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
}

function fieldValue(random: Random, length: number): string {
  switch (random.below(4)) {
    case 0:
      return random.bytes(length).toString("latin1");
    case 1:
      return random
        .below(2 ** 20)
        .toString(8)
        .padStart(length - 1, "0");
    default:
      return random.pick(texts);
  }
}

const values = [
  null,
  true,
  0,
  -1,
  1e308,
  2 ** 53,
  "",
  "x",
  "\0",
  "../..",
  [],
  {},
  [[]],
  "sha256:",
  "a".repeat(300),
];

/** A document with one value changed, left out or doubled, or with other bytes. */
export function mutateJson(random: Random, text: string): string {
  if (random.once(4)) return mutateBytes(random, Buffer.from(text)).toString("utf8");
  const document: unknown = JSON.parse(text);
  for (let changes = 1 + random.below(3); changes > 0; changes--) mutateValue(random, document);
  return JSON.stringify(document);
}

function mutateValue(random: Random, value: unknown): void {
  if (typeof value !== "object" || value === null) return;
  const keys = Object.keys(value);
  if (keys.length === 0) return;
  const key = random.pick(keys);
  // An object or a list: both are changed by their keys.
  const holder = value as Record<string, unknown>;
  const child = holder[key];
  if (typeof child === "object" && child !== null && !random.once(4)) {
    mutateValue(random, child);
    return;
  }
  switch (random.below(5)) {
    case 0:
      delete holder[key];
      return;
    case 1:
      holder[random.pick(["__proto__x", "0", key.toUpperCase()])] = child;
      return;
    default:
      holder[key] =
        typeof child === "string" && random.once(2) ? child.slice(1) : structuredClone(random.pick(values));
  }
}
