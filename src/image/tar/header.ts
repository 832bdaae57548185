/**
 * One 512-byte tar header block, as written: the fields of v7, ustar, star and GNU tar.
 * Sources: POSIX.1-2017 pax "ustar Interchange Format"; GNU tar manual, "Basic Tar Format"; star(5).
 */
import type { SparseSegment, Timestamp } from "./entry.ts";

export const blockSize = 512;

/** A header's copy that can be read in words. */
const aligned = new Uint8Array(blockSize);
const words = new Uint32Array(aligned.buffer);

export interface RawHeader {
  readonly typeFlag: string;
  readonly name: string;
  readonly linkName: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: Timestamp;
  readonly deviceMajor: number;
  readonly deviceMinor: number;
  /** Only of GNU's old sparse format (type S). */
  readonly gnuSparse: GnuSparseHeader | undefined;
}

interface GnuSparseHeader {
  readonly segments: readonly SparseSegment[];
  readonly extended: boolean;
  readonly realSize: number;
}

/** Why a header cannot be read; the parser adds the place. */
export class TarFormatError extends Error {}

export function isZeroBlock(block: Buffer): boolean {
  for (let i = 0; i < blockSize; i += 4) if (block.readInt32LE(i) !== 0) return false;
  return true;
}

export function parseHeader(block: Buffer): RawHeader {
  verifyChecksum(block);
  const magic = block.toString("latin1", 257, 265);
  const posix = magic.startsWith("ustar\0");
  const gnu = magic === "ustar  \0";
  const typeFlag = String.fromCharCode(block[156] ?? 0);
  let name = stringField(block, 0, 100);
  if (posix) {
    // star keeps times behind a shorter prefix and says so at the end of the block.
    const star = block.toString("latin1", 508, 512) === "tar\0";
    const prefix = stringField(block, 345, star ? 131 : 155);
    if (prefix !== "") name = `${prefix}/${name}`;
  }
  const devices = posix || gnu;
  return {
    typeFlag,
    name,
    linkName: stringField(block, 157, 100),
    mode: numberField(block, 100, 8, "mode"),
    uid: numberField(block, 108, 8, "uid"),
    gid: numberField(block, 116, 8, "gid"),
    size: sizeField(block, 124, 12, "size"),
    mtime: { seconds: numberField(block, 136, 12, "mtime"), nanoseconds: 0 },
    deviceMajor: devices ? numberField(block, 329, 8, "device major") : 0,
    deviceMinor: devices ? numberField(block, 337, 8, "device minor") : 0,
    gnuSparse: typeFlag === "S" ? parseGnuSparse(block) : undefined,
  };
}

/** An extension block of GNU's old sparse format: 21 more segments and whether another block follows. */
export function parseSparseExtension(block: Buffer): { segments: SparseSegment[]; extended: boolean } {
  return { segments: sparseFields(block, 0, 21), extended: block[504] !== 0 };
}

function parseGnuSparse(block: Buffer): GnuSparseHeader {
  return {
    segments: sparseFields(block, 386, 4),
    extended: block[482] !== 0,
    realSize: sizeField(block, 483, 12, "real size"),
  };
}

function sparseFields(block: Buffer, start: number, count: number): SparseSegment[] {
  const segments: SparseSegment[] = [];
  for (let at = start; at < start + count * 24; at += 24) {
    if (block[at] === 0 || block[at + 12] === 0) break;
    segments.push({
      offset: sizeField(block, at, 12, "sparse offset"),
      length: sizeField(block, at + 12, 12, "sparse length"),
    });
  }
  return segments;
}

/** Some old archivers summed signed bytes; both sums are accepted, as GNU tar does. */
function verifyChecksum(block: Buffer): void {
  const written = numberField(block, 148, 8, "checksum");
  aligned.set(block);
  // The field itself counts as blanks.
  aligned.fill(32, 148, 156);
  let sums = 0;
  let negatives = 0;
  for (let i = 0; i < words.length; i++) {
    const word = words[i] ?? 0;
    // Two sums of 16 bits side by side: 256 bytes each cannot overflow them.
    sums += (word & 0x00ff00ff) + ((word >>> 8) & 0x00ff00ff);
    if ((word & 0x80808080) !== 0) negatives += negativeBytes(word);
  }
  const unsigned = (sums & 0xffff) + (sums >>> 16);
  if (written !== unsigned && written !== unsigned - 256 * negatives)
    throw new TarFormatError(`its header's checksum is ${unsigned}, but ${written} is written there`);
}

function negativeBytes(word: number): number {
  return ((word >>> 7) & 1) + ((word >>> 15) & 1) + ((word >>> 23) & 1) + (word >>> 31);
}

function stringField(block: Buffer, start: number, length: number): string {
  const zero = block.indexOf(0, start);
  return block.toString("latin1", start, zero < 0 ? start + length : Math.min(zero, start + length));
}

function sizeField(block: Buffer, start: number, length: number, what: string): number {
  const value = numberField(block, start, length, what);
  if (value < 0) throw new TarFormatError(`its ${what} is negative`);
  return value;
}

/** Octal text padded with spaces or NULs, or GNU's base-256: the top bit set, then two's complement. */
function numberField(block: Buffer, start: number, length: number, what: string): number {
  const first = block[start] ?? 0;
  if (first === 0x80 || first === 0xff) return base256(block, start, length, what);
  let value = 0;
  let at = start;
  const end = start + length;
  while (at < end && (block[at] === 32 || block[at] === 0)) at++;
  for (; at < end; at++) {
    const byte = block[at] ?? 0;
    if (byte === 0 || byte === 32) break;
    if (byte < 48 || byte > 55) throw new TarFormatError(`its ${what} is not an octal number`);
    value = value * 8 + (byte - 48);
  }
  return value;
}

function base256(block: Buffer, start: number, length: number, what: string): number {
  // 12 bytes hold numbers beyond 2^53; the bytes above the low seven may only repeat the sign.
  const negative = block[start] === 0xff;
  const filler = negative ? 0xff : 0;
  const low = start + length - 6;
  for (let at = start + 1; at < low; at++)
    if (block[at] !== filler) throw new TarFormatError(`its ${what} is too large`);
  const value = block.readUIntBE(low, 6);
  return negative ? value - 2 ** 48 : value;
}
