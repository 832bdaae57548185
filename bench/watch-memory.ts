/** Resident memory of a process and all its descendants, looked at again and again. What they share counts once. */
import { readFile } from "node:fs/promises";

const intervalMilliseconds = 20;

export interface WatchedMemory {
  /** Bytes when the watch began, and the most at one moment since. */
  readonly before: number;
  readonly most: number;
}

export async function watchMemory(pid: number): Promise<{ end(): Promise<WatchedMemory> }> {
  const before = await residentOfTree(pid);
  let most = before;
  let over = false;
  const watching = (async () => {
    while (!over) {
      most = Math.max(most, await residentOfTree(pid));
      await Bun.sleep(intervalMilliseconds);
    }
  })();
  return {
    end: async () => {
      over = true;
      await watching;
      return { before, most };
    },
  };
}

async function residentOfTree(pid: number): Promise<number> {
  let bytes = 0;
  try {
    const rollup = await readFile(`/proc/${pid}/smaps_rollup`, "utf8");
    bytes = Number(/^Pss:\s+(\d+)/m.exec(rollup)?.[1] ?? 0) * 1024;
    for (const child of (await readFile(`/proc/${pid}/task/${pid}/children`, "utf8")).split(" "))
      if (child.trim() !== "") bytes += await residentOfTree(Number(child));
  } catch {
    // It ended in the meantime.
  }
  return bytes;
}
