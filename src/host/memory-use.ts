/** What processes cost the host in memory. */
import { readFile } from "node:fs/promises";
import { errnoNameOf } from "./system-error.ts";

/** Processes looked at beside each other, so that one with much memory does not hold up all other work. */
const atOnce = 4;

/**
 * The proportional set size of processes, in bytes: a page that N processes share counts 1/N for each (proc(5),
 * smaps_rollup). Processes that have ended count nothing. The kernel walks the page tables of each, which takes some
 * tenths of a millisecond for 100 MB, on another thread than the caller's.
 */
export async function proportionalBytes(pids: readonly number[]): Promise<number> {
  const rest = [...pids];
  let bytes = 0;
  const work = async (): Promise<void> => {
    for (let pid = rest.pop(); pid !== undefined; pid = rest.pop()) {
      const rollup = await readFile(`/proc/${pid}/smaps_rollup`, "utf8").catch(unlessGone);
      bytes += pssOf(rollup);
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, pids.length) }, work));
  return bytes;
}

export function pssOf(rollup: string): number {
  return Number(/^Pss:\s+(\d+) kB$/m.exec(rollup)?.[1] ?? "0") * 1024;
}

function unlessGone(error: unknown): string {
  if (["ENOENT", "ESRCH"].includes(errnoNameOf(error) ?? "")) return "";
  throw error;
}
