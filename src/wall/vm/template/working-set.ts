/**
 * What the first copy of a template touched of its memory until its workload had started. All others touch much the same, so they are
 * given these pages at once: each would be a fault, and two if it is looked at first and written to afterwards, which
 * costs a host with paravirtual page tables 0.1 ms.
 *
 * A file of entries for guest/process/thaw/touched.c: u64 address, u32 pages, u32 whether they are written to.
 */
import { memoryFileOf } from "../../../host/memory-file.ts";
import { touchedPages } from "../../../host/touched-pages.ts";

/** Whatever a guest did, its siblings take no more at once: pages written to (24 MiB), and looked at (96 MiB). */
const most = { written: 6144, read: 24_576 };
const mostEntries = 8192;
const entryBytes = 16;

/** Descriptor of a sealed memory file; undefined when there is nothing to know. */
export function workingSetOf(pid: number): number | undefined {
  const left = { ...most };
  const runs = touchedPages(pid).filter(({ pages, written }) => {
    const kind = written ? "written" : "read";
    if (pages > left[kind]) return false;
    left[kind] -= pages;
    return true;
  });
  const kept = runs.slice(0, mostEntries);
  if (kept.length === 0) return undefined;
  const content = Buffer.alloc(kept.length * entryBytes);
  for (const [index, { start, pages, written }] of kept.entries()) {
    const at = index * entryBytes;
    content.writeBigUInt64LE(BigInt(start), at);
    content.writeUInt32LE(pages, at + 8);
    content.writeUInt32LE(written ? 1 : 0, at + 12);
  }
  return memoryFileOf("working-set", content);
}
