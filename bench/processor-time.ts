/** Processor time of a process with all its descendants, and what of the whole machine's was used meanwhile. */
import { readFile } from "node:fs/promises";

/** Clock ticks a second in /proc, on every Linux of today (proc(5), sysconf(_SC_CLK_TCK)). */
const ticks = 100;

export interface ProcessorTime {
  /** Seconds of the process, its children and theirs. */
  readonly used: number;
  /** Of the time that all processors had, the share that was used, by whomever. */
  readonly busy: number;
}

export async function watchProcessors(pid: number): Promise<{ end(): Promise<ProcessorTime> }> {
  const [own, all] = [await ofTree(pid), await ofMachine()];
  return {
    end: async () => {
      const now = await ofMachine();
      const busy = (now.busy - all.busy) / (now.whole - all.whole);
      return { used: ((await ofTree(pid)) - own) / ticks, busy };
    },
  };
}

/** Those that have ended are counted with their parents. */
async function ofTree(pid: number): Promise<number> {
  try {
    const line = await readFile(`/proc/${pid}/stat`, "utf8");
    // The name, which may have blanks, ends with the last parenthesis; times are fields 14 to 17.
    const fields = line.slice(line.lastIndexOf(")") + 2).split(" ");
    let sum = fields.slice(11, 15).reduce((total, field) => total + Number(field), 0);
    for (const child of (await readFile(`/proc/${pid}/task/${pid}/children`, "utf8")).split(" "))
      if (child.trim() !== "") sum += await ofTree(Number(child));
    return sum;
  } catch {
    // It ended in the meantime.
    return 0;
  }
}

async function ofMachine(): Promise<{ readonly busy: number; readonly whole: number }> {
  const [line = ""] = (await readFile("/proc/stat", "utf8")).split("\n");
  // user, nice, system, idle, iowait, irq, softirq, steal; what guests had is in user already.
  const fields = line.trim().split(/\s+/).slice(1, 9).map(Number);
  const whole = fields.reduce((sum, field) => sum + field, 0);
  const [, , , idle = 0, waiting = 0] = fields;
  return { busy: whole - idle - waiting, whole };
}
