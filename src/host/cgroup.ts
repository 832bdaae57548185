/**
 * Control groups on every layout a host may have: one unified hierarchy (v2), one hierarchy per controller (v1),
 * or both at once (hybrid). Sources: Documentation/admin-guide/cgroup-v1, cgroup-v2.rst in the kernel.
 *
 * A group is named by its path below the hierarchies' roots (`/hull/ID`), as in an OCI config's `cgroupsPath`.
 */
import { readFileSync, rmdirSync } from "node:fs";
import { parseMountInfo } from "./mount-info.ts";
import { errnoNameOf } from "./system-error.ts";

export type CgroupController = "memory" | "cpu" | "cpuacct" | "pids" | "freezer";

export interface CgroupLayout {
  readonly kind: "v1" | "hybrid" | "v2";
  /** Mount points of the v1 hierarchies by controller. */
  readonly v1: ReadonlyMap<string, string>;
  /** Mount point of the v2 hierarchy, and the controllers it has. */
  readonly v2: { readonly mountPoint: string; readonly controllers: readonly string[] } | undefined;
}

/** Looks at the mounts that this process sees. */
export function detectCgroupLayout(): CgroupLayout {
  return describeCgroupLayout(
    readFileSync("/proc/self/mountinfo", "utf8"),
    (mountPoint) => readText(`${mountPoint}/cgroup.controllers`) ?? "",
  );
}

/** The layout that a mount table describes; `controllersOf` reads `cgroup.controllers` of a v2 mount point. */
export function describeCgroupLayout(
  mountInfo: string,
  controllersOf: (mountPoint: string) => string,
): CgroupLayout {
  const v1 = new Map<string, string>();
  let v2: CgroupLayout["v2"];
  for (const mount of parseMountInfo(mountInfo)) {
    if (mount.type === "cgroup") {
      for (const option of mount.superOptions) if (!v1.has(option)) v1.set(option, mount.mountPoint);
    } else if (mount.type === "cgroup2" && v2 === undefined) {
      const controllers = controllersOf(mount.mountPoint).split(/\s+/).filter(Boolean);
      v2 = { mountPoint: mount.mountPoint, controllers };
    }
  }
  for (const option of ["rw", "ro", "xattr", "clone_children"]) v1.delete(option);
  const hasV1 = [...v1.keys()].some((name) => !name.startsWith("name="));
  return { kind: !hasV1 ? "v2" : v2 === undefined ? "v1" : "hybrid", v1, v2 };
}

/** The directory of a group for one controller; undefined when the host has no such controller. */
export function cgroupDirectory(
  layout: CgroupLayout,
  controller: CgroupController,
  group: string,
): string | undefined {
  const root = layout.v1.get(controller) ?? (layout.kind === "v2" ? layout.v2?.mountPoint : undefined);
  return root === undefined ? undefined : `${root}${group}`;
}

/** Whether the kernel can limit swap: without the files, a runtime that is asked to fails. */
export function canLimitSwap(layout: CgroupLayout): boolean {
  const v1 = layout.v1.get("memory");
  // In v2 the root group has no such file, and a kernel without swap accounting merely ignores the limit.
  return v1 === undefined || readText(`${v1}/memory.memsw.usage_in_bytes`) !== undefined;
}

export interface CgroupUsage {
  readonly memoryBytes: number;
  /** 0 when unlimited. */
  readonly memoryLimitBytes: number;
  readonly cpuNanoseconds: number;
  readonly pids: number;
  /** Processes that the out-of-memory killer has ended in this group. */
  readonly oomKills: number;
}

/** What a group uses; undefined when the group is gone. Figures of controllers the host lacks are 0. */
export function readCgroupUsage(layout: CgroupLayout, group: string): CgroupUsage | undefined {
  const read = (controller: CgroupController, file: string): string | undefined => {
    const directory = cgroupDirectory(layout, controller, group);
    return directory === undefined ? undefined : readText(`${directory}/${file}`);
  };
  const usage =
    layout.kind === "v2"
      ? {
          memoryBytes: numberOf(read("memory", "memory.current")),
          memoryLimitBytes: limitOf(read("memory", "memory.max")),
          cpuNanoseconds: keyedNumber(read("cpu", "cpu.stat"), "usage_usec") * 1000,
          pids: numberOf(read("pids", "pids.current")),
          oomKills: keyedNumber(read("memory", "memory.events"), "oom_kill"),
        }
      : {
          memoryBytes: numberOf(read("memory", "memory.usage_in_bytes")),
          memoryLimitBytes: limitOf(read("memory", "memory.limit_in_bytes")),
          cpuNanoseconds: numberOf(read("cpuacct", "cpuacct.usage")),
          pids: numberOf(read("pids", "pids.current")),
          oomKills: keyedNumber(read("memory", "memory.oom_control"), "oom_kill"),
        };
  const exists =
    read("pids", "cgroup.procs") ?? read("memory", "cgroup.procs") ?? read("cpu", "cgroup.procs");
  return exists === undefined ? undefined : usage;
}

/** The processes in a group, as numbered here; empty when the group is gone. */
export function cgroupProcesses(layout: CgroupLayout, group: string): number[] {
  for (const controller of ["pids", "memory", "freezer", "cpu"] as const) {
    const directory = cgroupDirectory(layout, controller, group);
    const text = directory === undefined ? undefined : readText(`${directory}/cgroup.procs`);
    if (text !== undefined) return text.split("\n").filter(Boolean).map(Number);
  }
  return [];
}

/** Removes a group from every hierarchy; false when it is in use somewhere, where it stays. */
export function removeEmptyCgroup(layout: CgroupLayout, group: string): boolean {
  const roots = new Set(layout.v1.values());
  if (layout.v2 !== undefined) roots.add(layout.v2.mountPoint);
  let gone = true;
  for (const root of roots) {
    try {
      rmdirSync(`${root}${group}`);
    } catch (error) {
      const reason = errnoNameOf(error) ?? "";
      if (!["ENOENT", "EBUSY", "ENOTEMPTY", "EROFS"].includes(reason)) throw error;
      if (reason !== "ENOENT") gone = false;
    }
  }
  return gone;
}

function numberOf(text: string | undefined): number {
  const value = Number(text?.trim());
  return Number.isFinite(value) ? value : 0;
}

/** v2 writes `max` for no limit, v1 the largest whole number of pages. */
function limitOf(text: string | undefined): number {
  const value = numberOf(text);
  return value >= 2 ** 62 ? 0 : value;
}

function keyedNumber(text: string | undefined, key: string): number {
  const line = text?.split("\n").find((candidate) => candidate.startsWith(`${key} `));
  return numberOf(line?.slice(key.length + 1));
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (["ENOENT", "ENODEV", "ENOTDIR", "EOPNOTSUPP", "ENOTSUP", "EACCES"].includes(errnoNameOf(error) ?? ""))
      return undefined;
    throw error;
  }
}
