/** Sparse files: checking their maps, and reading the map that GNU.sparse 1.0 puts before the data. */
import type { SparseSegment } from "./entry.ts";
import { blockSize, TarFormatError } from "./header.ts";
import { tarLimits } from "./limits.ts";
import { decimal } from "./pax.ts";

/**
 * Holds a map against what the archive stores: segments in order and inside the file, and as many bytes as the
 * member has. Empty segments only mark the file's end and are dropped.
 */
export function checkSparseMap(
  segments: readonly SparseSegment[],
  realSize: number,
  storedSize: number,
): SparseSegment[] {
  let end = 0;
  let stored = 0;
  for (const { offset, length } of segments) {
    if (offset < end || offset + length > realSize)
      throw new TarFormatError(`its sparse map is out of order or reaches beyond its size of ${realSize}`);
    end = offset + length;
    stored += length;
  }
  if (stored !== storedSize)
    throw new TarFormatError(`its sparse map tells of ${stored} bytes, but ${storedSize} are stored`);
  return segments.filter(({ length }) => length > 0);
}

/** The text map of GNU.sparse 1.0: a count, then offset and length of each segment, one number a line, in whole blocks. */
export class SparseMapReader {
  readonly segments: SparseSegment[] = [];
  /** Bytes read so far; they count as data of the member. */
  bytes = 0;
  #count: number | undefined;
  #offset: number | undefined;
  #digits = "";

  /** Takes one block; true when the map is complete, the rest of the block being padding. */
  push(block: Buffer): boolean {
    this.bytes += blockSize;
    for (const byte of block) {
      if (byte === 10) {
        this.#number(decimal(this.#digits));
        this.#digits = "";
        if (this.#count === this.segments.length) return true;
      } else {
        this.#digits += String.fromCharCode(byte);
        if (this.#digits.length > 20) throw new TarFormatError("its sparse map is not a list of numbers");
      }
    }
    return false;
  }

  #number(value: number): void {
    if (this.#count === undefined) {
      if (value > tarLimits.sparseSegments)
        throw new TarFormatError(
          `it has ${value} sparse segments, over the limit of ${tarLimits.sparseSegments}`,
        );
      this.#count = value;
    } else if (this.#offset === undefined) this.#offset = value;
    else {
      this.segments.push({ offset: this.#offset, length: value });
      this.#offset = undefined;
    }
  }
}
