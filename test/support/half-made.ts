/** What of workloads is on the machine besides what the daemon's records say there should be. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { TestDaemon } from "./daemon.ts";

/** One line for everything that belongs to no workload of the daemon: directories, processes, mounts, cgroups. */
export async function findHalfMade(daemon: TestDaemon): Promise<string[]> {
  const ids = (await daemon.hullOk(["ps", "-aq", "--no-trunc"])).split("\n").filter((id) => id !== "");
  const running = (await daemon.hullOk(["ps", "-q", "--no-trunc"])).split("\n").filter((id) => id !== "");
  const found: string[] = [];
  for (const name of await readdir(join(daemon.root, "workloads")))
    if (!ids.includes(name)) found.push(`directory of workload ${name}`);
  const live = running.map((id) => id.slice(0, 12));
  for (const name of await readdir(join(daemon.state, "w")))
    if (!live.includes(name)) found.push(`runtime directory ${name}`);
  const table = await readFile(`/proc/${daemon.pid}/mountinfo`, "utf8");
  for (const line of table.split("\n")) {
    const point = line.split(" ")[4] ?? "";
    const name = point.startsWith(`${daemon.state}/w/`)
      ? point.slice(daemon.state.length + 3, daemon.state.length + 15)
      : undefined;
    if (name !== undefined && !live.includes(name)) found.push(`mount ${point}`);
  }
  for (const { pid, command } of await processesNaming(`${daemon.state}/w/`))
    if (!live.some((name) => command.includes(name))) found.push(`process ${pid}: ${command}`);
  return found;
}

async function processesNaming(text: string): Promise<{ pid: number; command: string }[]> {
  const found: { pid: number; command: string }[] = [];
  for (const entry of await readdir("/proc")) {
    const pid = Number(entry);
    if (!Number.isInteger(pid)) continue;
    const command = await readFile(`/proc/${pid}/cmdline`, "latin1").catch(() => "");
    if (command.includes(text)) found.push({ pid, command: command.replaceAll("\0", " ").trim() });
  }
  return found;
}
