/**
 * Moving a process to another control group, which every OCI runtime does with every container, first waits for the kernel
 * to have told all processors (cgroup_threadgroup_rwsem in kernel/cgroup/cgroup.c, a grace period of RCU: some 10 ms), unless
 * one was moved a moment before. So whoever is about to have a container made lets the kernel begin now.
 */
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import type { CgroupLayout } from "./cgroup.ts";

let beginning: Promise<void> | undefined;

/** Moves this process to where it is, on another thread: nothing changes. Without effect when it cannot be. */
export function expectCgroupMove(layout: CgroupLayout): Promise<void> {
  beginning ??= beginMove(layout)
    .catch(() => undefined)
    .finally(() => {
      beginning = undefined;
    });
  return beginning;
}

async function beginMove({ v1, v2 }: CgroupLayout): Promise<void> {
  const mountPoint = v1.get(controller) ?? v2?.mountPoint;
  const group = ownGroup(readFileSync("/proc/self/cgroup", "utf8"), v1.has(controller) ? controller : "");
  if (mountPoint === undefined || group === undefined) return;
  await writeFile(`${mountPoint}${group}/cgroup.procs`, String(process.pid), { flag: "r+" });
}

/** Any hierarchy will do: they share what is waited for. */
const controller = "pids";

/** The group of /proc/self/cgroup in the hierarchy of one controller; the v2 hierarchy names none (cgroups(7)). */
export function ownGroup(text: string, controller: string): string | undefined {
  for (const line of text.split("\n")) {
    const [, controllers, ...path] = line.split(":");
    if (controllers?.split(",").includes(controller)) return path.join(":");
  }
  return undefined;
}
