/** Resident memory of a process and all its descendants, looked at again and again. */
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

/** What processes share is counted once for each of them: never too little. */
async function residentOfTree(pid: number): Promise<number> {
  let bytes = 0;
  try {
    const status = await readFile(`/proc/${pid}/status`, "utf8");
    bytes = Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0) * 1024;
    for (const child of (await readFile(`/proc/${pid}/task/${pid}/children`, "utf8")).split(" "))
      if (child.trim() !== "") bytes += await residentOfTree(Number(child));
  } catch {
    // It ended in the meantime.
  }
  return bytes;
}
