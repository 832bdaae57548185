/** What Hull needs of the host's kernel, and of the daemon's own privileges. */
import { existsSync, readFileSync } from "node:fs";
import { release } from "node:os";
import type { DoctorCheck } from "../../contract/docker.ts";
import { run } from "../../host/spawn.ts";
import { compareVersions, versionIn } from "./versions.ts";

/** From this version on the kernel mounts an EROFS file without a loop device. */
const fileBackedErofs = "6.12";

export function kernelChecks(): Promise<DoctorCheck>[] {
  const version = versionIn(release()) ?? "0";
  const direct = compareVersions(version, fileBackedErofs) >= 0;
  return [
    fileSystemCheck(
      "erofs",
      direct
        ? "the kernel mounts image layers straight from their files"
        : `before kernel ${fileBackedErofs} image layers are mounted through loop devices`,
    ),
    fileSystemCheck("overlay", "it lays a workload's changes over its image"),
  ];
}

async function fileSystemCheck(type: string, meaning: string): Promise<DoctorCheck> {
  const name = `${type} file system`;
  const known = () =>
    readFileSync("/proc/filesystems", "utf8")
      .split("\n")
      .some((line) => line.endsWith(`\t${type}`));
  const module = known() || Bun.which("modprobe") === null ? undefined : await run(["modprobe", type]);
  if (known()) return { name, status: "ok", found: `kernel ${release()}`, meaning, remedy: "" };
  const why = module === undefined || module.stderr === "" ? "" : `: ${module.stderr.trim().split("\n")[0]}`;
  return {
    name,
    status: "missing",
    found: `kernel ${release()} does not have it${why}`,
    meaning,
    remedy: `modprobe ${type}`,
  };
}

export function cgroupCheck(): Promise<DoctorCheck> {
  const name = "control groups";
  if (existsSync("/sys/fs/cgroup/cgroup.controllers"))
    return Promise.resolve({
      name,
      status: "ok",
      found: "v2",
      meaning: "limits and accounting work",
      remedy: "",
    });
  const needed = ["memory", "pids", "cpu", "freezer"];
  const lacking = needed.filter((controller) => !existsSync(`/sys/fs/cgroup/${controller}`));
  // The daemon's own mount namespace may hide the v2 hierarchy; the host's first process sees it.
  const hybrid = readFileSync("/proc/1/mountinfo", "utf8").includes(" - cgroup2 ");
  return Promise.resolve({
    name,
    status: lacking.length === 0 ? "ok" : "missing",
    found: hybrid ? "v1 with a v2 hierarchy beside it (hybrid)" : "v1",
    meaning:
      lacking.length > 0
        ? `the controllers ${lacking.join(", ")} are not mounted, so limits cannot be set`
        : hybrid
          ? "limits and accounting work; a controller that is on v2 alone (often hugetlb) makes crun refuse the host, so the daemon hides the v2 hierarchy in its own mount namespace"
          : "limits and accounting work",
    remedy: lacking
      .map((controller) => `mount -t cgroup -o ${controller} cgroup /sys/fs/cgroup/${controller}`)
      .join(" && "),
  });
}

export function seccompCheck(profile: string): Promise<DoctorCheck> {
  const name = "seccomp profile";
  if (profile === "")
    return Promise.resolve({
      name,
      status: "warning",
      found: "none configured",
      meaning: "containers may make every system call: set container.seccompProfile in the configuration",
      remedy: "",
    });
  const there = existsSync(profile);
  return Promise.resolve({
    name,
    status: there ? "ok" : "missing",
    found: there ? profile : `no ${profile}`,
    meaning: "it keeps containers from system calls that they do not need",
    remedy: there ? "" : "apt-get install golang-github-containers-common",
  });
}

/** linux/capability.h */
const capSysAdmin = 21n;
const capSysResource = 24n;

export function privilegeCheck(): Promise<DoctorCheck> {
  const name = "privileges";
  const effective = BigInt(
    `0x${/^CapEff:\s+([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0"}`,
  );
  const has = (capability: bigint) => ((effective >> capability) & 1n) === 1n;
  if (!has(capSysAdmin))
    return Promise.resolve({
      name,
      status: "missing",
      found: "no CAP_SYS_ADMIN",
      meaning: "mounts and namespaces cannot be made",
      remedy: "run the daemon as root",
    });
  if (!has(capSysResource))
    return Promise.resolve({
      name,
      status: "warning",
      found: "root without CAP_SYS_RESOURCE",
      meaning:
        "workloads inherit the daemon's limits: hard limits cannot be raised and oom_score_adj not lowered",
      remedy: "",
    });
  return Promise.resolve({
    name,
    status: "ok",
    found: "root",
    meaning: "all that Hull does is allowed",
    remedy: "",
  });
}
