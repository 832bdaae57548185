/**
 * Which pages of its private memory a process has: those that it wrote to, which are its own, and those of files that it has
 * only looked at. Source: Linux, Documentation/admin-guide/mm/pagemap.rst.
 */
import { closeSync, openSync, readFileSync, readSync } from "node:fs";

export interface PageRun {
  /** Address of the first one. */
  readonly start: number;
  readonly pages: number;
  readonly written: boolean;
}

interface Range {
  readonly start: number;
  readonly end: number;
}

const pageBytes = 4096;
/** Whatever a process has made of its memory: a mapping that is larger is left out, and what comes after so many. */
const mostBytes = 2 ** 30;
const mostRanges = 4096;
const entryBytes = 8;
/** Of an entry's upper 32 bits: the page is there; it is a file's. */
const present = 1 << 31;
const ofFile = 1 << 29;

/** Of all that it can read, but the kernel's own pages. */
export function touchedPages(pid: number): PageRun[] {
  const file = openSync(`/proc/${pid}/pagemap`, "r");
  try {
    return rangesOf(pid).flatMap((range) => runsOf(range, readEntries(file, range)));
  } finally {
    closeSync(file);
  }
}

function rangesOf(pid: number): Range[] {
  const pattern = /^([0-9a-f]+)-([0-9a-f]+) r[w-][x-]p \S+ \S+ \d+ *(|\[heap\]|\[stack\]|\/.*)$/gm;
  const maps = readFileSync(`/proc/${pid}/maps`, "utf8");
  const all = [...maps.matchAll(pattern)].map(([, start = "", end = ""]) => ({
    start: Number.parseInt(start, 16),
    end: Number.parseInt(end, 16),
  }));
  let left = mostBytes;
  return all.slice(0, mostRanges).filter(({ start, end }) => {
    const fits = end - start <= left;
    if (fits) left -= end - start;
    return fits;
  });
}

function readEntries(file: number, { start, end }: Range): Uint32Array {
  const entries = new Uint32Array(((end - start) / pageBytes) * 2);
  const read = readSync(file, entries, 0, entries.byteLength, (start / pageBytes) * entryBytes);
  return entries.subarray(0, read / Uint32Array.BYTES_PER_ELEMENT);
}

function runsOf({ start }: Range, entries: Uint32Array): PageRun[] {
  const runs: { start: number; pages: number; written: boolean }[] = [];
  let run: (typeof runs)[number] | undefined;
  for (let page = 0; page < entries.length / 2; page++) {
    const upper = entries[page * 2 + 1] ?? 0;
    if ((upper & present) === 0) {
      run = undefined;
      continue;
    }
    const written = (upper & ofFile) === 0;
    if (run === undefined || run.written !== written) {
      run = { start: start + page * pageBytes, pages: 0, written };
      runs.push(run);
    }
    run.pages++;
  }
  return runs;
}
