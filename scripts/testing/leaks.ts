/** What a run of the suite may leave on the machine: looked at before and after. */
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { run } from "../../src/host/spawn.ts";

/** Names of things found on the machine, each with what kind of thing it is. */
export type Snapshot = ReadonlySet<string>;

/** Hull's default places: the suite works with others, so none of them may appear. */
const defaultPlaces = ["/run/hull", "/var/lib/hull", "/etc/hull"];

/** What a daemon changes on its host beside what it makes; one that ends puts it back. */
const settings = [
  "ipv4/ip_forward",
  "ipv6/conf/all/forwarding",
  "ipv4/conf/all/route_localnet",
  "ipv4/conf/default/route_localnet",
];

export async function takeSnapshot(): Promise<Snapshot> {
  const found = new Set<string>();
  for (const line of (await readFile("/proc/self/mountinfo", "utf8")).split("\n")) {
    const place = line.split(" ")[4];
    if (place !== undefined) found.add(`mount on ${place}`);
  }
  for (const name of await entriesOf("/run/netns")) found.add(`network namespace ${name}`);
  for (const name of await entriesOf("/sys/class/net")) found.add(`network link ${name}`);
  for (const line of (await run(["nft", "list", "tables"]).catch(() => undefined))?.stdout.split("\n") ?? [])
    if (line !== "") found.add(`nftables' ${line}`);
  for (const name of settings) if (await isOn(name)) found.add(`network setting ${name}, turned on`);
  for (const line of (
    await run(["losetup", "--list", "--noheadings", "--output", "NAME,BACK-FILE"])
  ).stdout.split("\n"))
    if (line !== "") found.add(`loop device ${line}`);
  for (const path of await controlGroups("/sys/fs/cgroup", 6)) found.add(`control group ${path}`);
  for (const place of defaultPlaces) if (existsSync(place)) found.add(`directory ${place}`);
  return found;
}

/** What is in `after` and was not in `before`. */
export function newIn(after: Snapshot, before: Snapshot): string[] {
  return [...after].filter((thing) => !before.has(thing)).sort();
}

/**
 * What of `left` a workload of somebody else still uses: another daemon may be at work beside the suite, and its
 * control groups look like ours. Its monitor names the workload's id, and is not one that the suite started.
 */
export async function withoutForeign(left: readonly string[], marker: string): Promise<string[]> {
  const ours = new Set((await markedProcesses(marker)).map(({ pid }) => pid));
  const foreign: string[] = [];
  for (const entry of await entriesOf("/proc")) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || ours.has(pid)) continue;
    foreign.push(await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => ""));
  }
  return left.filter((thing) => {
    const id = /^control group .*([0-9a-f]{64})/.exec(thing)?.[1];
    return id === undefined || !foreign.some((command) => command.includes(id));
  });
}

/** Ids of the processes that carry `marker` (`NAME=value`) in their environment. */
export async function markedProcesses(marker: string): Promise<{ pid: number; command: string }[]> {
  const found: { pid: number; command: string }[] = [];
  for (const entry of await entriesOf("/proc")) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    try {
      const environment = await readFile(`/proc/${pid}/environ`, "latin1");
      if (!environment.split("\0").includes(marker)) continue;
      const command = (await readFile(`/proc/${pid}/cmdline`, "utf8")).replaceAll("\0", " ").trim();
      found.push({ pid, command });
    } catch {
      // Gone, or not ours to look at.
    }
  }
  return found;
}

/** Control groups that Hull or a runtime made: their names hold `hull`, or are a workload's id. */
async function controlGroups(directory: string, depth: number): Promise<string[]> {
  if (depth === 0) return [];
  const found: string[] = [];
  for (const entry of await readdir(directory, { withFileTypes: true }).catch(() => [])) {
    if (!entry.isDirectory()) continue;
    const path = join(directory, entry.name);
    if (/hull|conmon|crun|libpod/.test(entry.name) || /[0-9a-f]{64}/.test(basename(path))) found.push(path);
    found.push(...(await controlGroups(path, depth - 1)));
  }
  return found;
}

async function isOn(name: string): Promise<boolean> {
  const value = await readFile(`/proc/sys/net/${name}`, "utf8").catch(() => "0");
  return value.trim() !== "0";
}

async function entriesOf(directory: string): Promise<string[]> {
  return await readdir(directory).catch(() => []);
}
