/**
 * What a workload costs the host in memory: the proportional set size (PSS) of its monitor and of everything
 * below it. For a container that is conmon and the workload's processes, for a VM conmon and QEMU, whose
 * memory holds the guest's. A page shared by N processes counts 1/N for each, so sums do not count it twice.
 * Source: Documentation/filesystems/proc.rst, smaps_rollup.
 */
import { readdir, readFile } from "node:fs/promises";

/** Reads a file below /proc; resolves to undefined when the process is gone. */
export type ReadProcess = (pid: number, file: "status" | "smaps_rollup") => Promise<string | undefined>;

export interface ProcessTable {
  pids(): Promise<number[]>;
  read: ReadProcess;
}

export const hostProcesses: ProcessTable = {
  async pids() {
    return (await readdir("/proc")).map(Number).filter((pid) => Number.isInteger(pid));
  },
  async read(pid, file) {
    try {
      return await readFile(`/proc/${pid}/${file}`, "utf8");
    } catch {
      return undefined;
    }
  },
};

/** Bytes that the workload with process `pid` (as `inspect` gives it) costs. */
export async function memoryOf(pid: number, table: ProcessTable = hostProcesses): Promise<number> {
  const processes = new Map<number, { name: string; parent: number }>();
  for (const each of await table.pids()) {
    const status = await table.read(each, "status");
    if (status !== undefined)
      processes.set(each, { name: field(status, "Name"), parent: Number(field(status, "PPid")) });
  }
  const parent = processes.get(pid)?.parent ?? 0;
  const top = processes.get(parent)?.name === "conmon" ? parent : pid;
  const members = new Set([top]);
  for (let size = 0; size !== members.size; ) {
    size = members.size;
    for (const [each, { parent }] of processes) if (members.has(parent)) members.add(each);
  }
  let bytes = 0;
  for (const each of members) bytes += kilobytes(await table.read(each, "smaps_rollup"), "Pss") * 1024;
  return bytes;
}

function field(text: string, name: string): string {
  return new RegExp(`^${name}:\\s*(.*)$`, "m").exec(text)?.[1] ?? "";
}

function kilobytes(text: string | undefined, name: string): number {
  return text === undefined ? 0 : Number.parseInt(field(text, name), 10) || 0;
}
