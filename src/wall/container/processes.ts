/** The processes of a container, as they are numbered inside of it. */
import { readProc } from "../../host/process.ts";
import type { ProcessRow } from "../wall.ts";

/** One row per process of `pids` (numbered on the host) that still runs. */
export function describeProcesses(
  pids: readonly number[],
  userNames: ReadonlyMap<number, string>,
): ProcessRow[] {
  const found = pids.flatMap((pid) => {
    const status = readProc(pid, "status");
    const facts = status === undefined ? undefined : parseStatus(status);
    return facts === undefined ? [] : [{ pid, command: commandOf(pid, facts.name), ...facts }];
  });
  const inner = new Map(found.map(({ pid, innerPid }) => [pid, innerPid]));
  return found.map(({ innerPid, parentPid, uid, command }) => ({
    pid: innerPid,
    // The parent of the first process, and of one that came from outside (`exec`), is out of sight.
    parentPid: inner.get(parentPid) ?? 0,
    user: userNames.get(uid) ?? String(uid),
    command,
  }));
}

interface StatusFacts {
  readonly name: string;
  readonly innerPid: number;
  /** As numbered on the host. */
  readonly parentPid: number;
  readonly uid: number;
}

/** The fields of /proc/PID/status that matter here. */
export function parseStatus(status: string): StatusFacts | undefined {
  const field = (name: string): string | undefined => new RegExp(`^${name}:\\s*(.*)$`, "m").exec(status)?.[1];
  const innerPid = field("NSpid")?.split(/\s+/).at(-1);
  const parentPid = field("PPid");
  const uid = field("Uid")?.split(/\s+/)[0];
  if (innerPid === undefined || parentPid === undefined || uid === undefined) return undefined;
  return {
    name: field("Name") ?? "",
    innerPid: Number(innerPid),
    parentPid: Number(parentPid),
    uid: Number(uid),
  };
}

/** The command line; a process without one (a zombie) is shown by its name in brackets, as ps does. */
function commandOf(pid: number, name: string): string {
  const line = readProc(pid, "cmdline")?.replaceAll("\0", " ").trim();
  return line ? line : `[${name}]`;
}
