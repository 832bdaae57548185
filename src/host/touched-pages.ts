/**
 * Which pages of a private mapping of a memory file a process has: those that it wrote to, which are its own, and those that it
 * has only looked at. Source: Linux, Documentation/admin-guide/mm/pagemap.rst.
 */
import { closeSync, openSync, readFileSync, readSync } from "node:fs";

export interface PageRun {
  /** Pages from the mapping's beginning. */
  readonly start: number;
  readonly pages: number;
  readonly written: boolean;
}

const pageBytes = 4096;
const entryBytes = 8;
/** Of an entry's upper 32 bits: the page is there; it is a file's. */
const present = 1 << 31;
const ofFile = 1 << 29;

/** Of the first mapping of a memory file of that name; none if the process has none, or has ended. */
export function touchedPages(pid: number, name: string): PageRun[] {
  const range = rangeOf(pid, name);
  if (range === undefined) return [];
  const pages = (range.end - range.start) / pageBytes;
  const entries = new Uint32Array(pages * 2);
  const file = openSync(`/proc/${pid}/pagemap`, "r");
  try {
    const read = readSync(file, entries, 0, pages * entryBytes, (range.start / pageBytes) * entryBytes);
    return runsOf(entries.subarray(0, read / Uint32Array.BYTES_PER_ELEMENT));
  } finally {
    closeSync(file);
  }
}

function rangeOf(pid: number, name: string): { readonly start: number; readonly end: number } | undefined {
  const mark = ` /memfd:${name} (deleted)`;
  const line = readFileSync(`/proc/${pid}/maps`, "utf8")
    .split("\n")
    .find((each) => each.endsWith(mark));
  const [start, end] = (line?.split(" ", 1)[0] ?? "").split("-").map((digits) => Number.parseInt(digits, 16));
  return start === undefined || end === undefined ? undefined : { start, end };
}

function runsOf(entries: Uint32Array): PageRun[] {
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
      run = { start: page, pages: 0, written };
      runs.push(run);
    }
    run.pages++;
  }
  return runs;
}
