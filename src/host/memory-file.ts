/**
 * Files that are memory and nothing else (memfd_create(2)). Once sealed, such a file can be mapped privately by
 * whoever has its descriptor, and changed by nobody. Numbers: include/uapi/linux/memfd.h, fcntl.h.
 */

import { ptr } from "bun:ffi";
import { closeSync, fchmodSync, ftruncateSync, openSync, writeSync } from "node:fs";
import { check, cString, libc } from "./libc.ts";
import { errnoNameOf } from "./system-error.ts";

const closeOnExec = 1;
const allowSealing = 2;
const addSeals = 1033;
const seals = { seal: 1, shrink: 2, grow: 4, write: 8 } as const;
const seekData = 3;
const seekHole = 4;

/** Makes a file of that many zeros, which take no memory until they are written. The caller closes it. */
export function createMemoryFile(name: string, bytes: number): number {
  const path = cString(name);
  const descriptor = check(libc.memfd_create(ptr(path), closeOnExec | allowSealing), "memfd_create", name);
  try {
    // Who was given the descriptor may open the file anew by /proc/self/fd, whichever user it is.
    fchmodSync(descriptor, 0o666);
    ftruncateSync(descriptor, bytes);
    return descriptor;
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

/** A sealed memory file that holds `content`. The caller closes it. */
export function memoryFileOf(name: string, content: Uint8Array): number {
  const descriptor = createMemoryFile(name, content.length);
  try {
    writeAt(descriptor, content, 0);
    sealMemoryFile(descriptor);
    return descriptor;
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

/** All of the bytes: a single write may take fewer, without an error. */
export function writeAt(descriptor: number, data: Uint8Array, offset: number): void {
  for (let at = 0; at < data.length; ) at += writeSync(descriptor, data, at, data.length - at, offset + at);
}

/** Opens a memory file anew, to be read from its beginning: descriptors of one opening share their place in it. */
export function reopenMemoryFile(descriptor: number): number {
  return openSync(`/proc/self/fd/${descriptor}`, "r");
}

/** Forbids every change, for good. Throws EBUSY while anybody maps the file to write to it. */
export function sealMemoryFile(descriptor: number): void {
  const all = seals.seal | seals.shrink | seals.grow | seals.write;
  check(libc.fcntl(descriptor, addSeals, all), "fcntl", "F_ADD_SEALS");
}

export interface DataRange {
  readonly start: number;
  readonly end: number;
}

/** The parts of a file that hold data; what is between them is zeros. */
export function* dataRanges(descriptor: number, bytes: number): Generator<DataRange> {
  for (let at = 0; at < bytes; ) {
    const start = seek(descriptor, at, seekData);
    if (start === undefined || start >= bytes) return;
    const end = Math.min(seek(descriptor, start, seekHole) ?? bytes, bytes);
    yield { start, end };
    at = end;
  }
}

/** Undefined when there is nothing more. */
function seek(descriptor: number, from: number, what: number): number | undefined {
  try {
    return check(libc.lseek(descriptor, from, what), "lseek", `descriptor ${descriptor}`);
  } catch (error) {
    if (errnoNameOf(error) === "ENXIO") return undefined;
    throw error;
  }
}

/** How many bytes of a file hold data. */
export function usedBytes(descriptor: number, bytes: number): number {
  let used = 0;
  for (const { start, end } of dataRanges(descriptor, bytes)) used += end - start;
  return used;
}
