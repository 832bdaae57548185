/** What a daemon of a test may have left on the machine, found by the name of its directory. */
import { readdir, readFile, readlink } from "node:fs/promises";
import { join } from "node:path";
import { listLinks } from "../../src/host/network/links.ts";
import { NetlinkSocket } from "../../src/host/network/netlink.ts";
import { listTable } from "../../src/host/network/nft.ts";
import { tagOf } from "../../src/network/room.ts";

/** One line for each process, mount and control group that belongs to the daemon in `directory`. */
export async function describeLeftovers(directory: string): Promise<string[]> {
  const left: string[] = [];
  for (const { pid, command } of await processesOf(directory)) left.push(`process ${pid}: ${command}`);
  const mounts = await readFile("/proc/self/mountinfo", "utf8");
  for (const line of mounts.split("\n")) if (line.includes(directory)) left.push(`mount: ${line}`);
  left.push(...(await networkLeftovers(join(directory, "root"))));
  return left;
}

/** Interfaces and the packet filter's table of the daemon whose root directory is `root`. */
async function networkLeftovers(root: string): Promise<string[]> {
  const tag = tagOf(root);
  using socket = new NetlinkSocket();
  const links = listLinks(socket).filter(({ alias }) => alias === tag);
  const table = await listTable("inet", tag);
  return [
    ...links.map(({ name }) => `network interface ${name}`),
    ...(table === undefined ? [] : [`nftables' table ${tag}`]),
  ];
}

/** Kills the processes of the daemon in `directory`, by their ids, until there is none. */
export async function killLeftovers(directory: string): Promise<void> {
  for (let round = 0; round < 50; round++) {
    const left = await processesOf(directory);
    if (left.length === 0) return;
    for (const { pid } of left) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It ended by itself.
      }
    }
    await Bun.sleep(50);
  }
}

/** Processes whose command line names a file below `directory`, and the children of those. */
async function processesOf(directory: string): Promise<{ pid: number; command: string }[]> {
  const found = new Map<number, string>();
  const parents = new Map<number, { parent: number; command: string }>();
  for (const entry of await readdir("/proc")) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    const command = await commandOf(pid);
    const parent = await parentOf(pid);
    if (command === undefined || parent === undefined) continue;
    parents.set(pid, { parent, command });
    if (command.includes(`${directory}/`) || (await rootOf(pid)).startsWith(`${directory}/`))
      found.set(pid, command);
  }
  for (let grew = true; grew; ) {
    grew = false;
    for (const [pid, { parent, command }] of parents) {
      if (found.has(pid) || !found.has(parent)) continue;
      found.set(pid, command);
      grew = true;
    }
  }
  return [...found].map(([pid, command]) => ({ pid, command }));
}

/** The command line, or undefined for kernel threads, zombies and processes that are gone. */
async function commandOf(pid: number): Promise<string | undefined> {
  try {
    const command = (await readFile(`/proc/${pid}/cmdline`, "utf8")).replaceAll("\0", " ").trim();
    return command === "" ? undefined : command;
  } catch {
    return undefined;
  }
}

async function parentOf(pid: number): Promise<number | undefined> {
  try {
    const parent = /^PPid:\t(\d+)$/m.exec(await readFile(`/proc/${pid}/status`, "utf8"))?.[1];
    return parent === undefined ? undefined : Number(parent);
  } catch {
    return undefined;
  }
}

async function rootOf(pid: number): Promise<string> {
  try {
    return await readlink(`/proc/${pid}/root`);
  } catch {
    return "";
  }
}
