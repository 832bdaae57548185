/** Looks at all that Hull needs of this host, and says what it found, what that means, and how to mend it. */
import type { DoctorCheck, DoctorReport } from "../../contract/docker.ts";
import { messageOf } from "../../contract/errors.ts";
import type { WallKind } from "../../contract/isolation.ts";
import type { Wall } from "../../wall/wall.ts";
import { cgroupCheck, kernelChecks, privilegeCheck, seccompCheck } from "./host-checks.ts";
import { networkCheck } from "./network-checks.ts";
import { filesCheck, programCheck, runtimeCheck } from "./program-checks.ts";
import { guestCheck, kvmCheck, wallCheck } from "./vm-checks.ts";

export interface DoctorOptions {
  /** Names in PATH, or paths. */
  readonly runtime: string;
  readonly conmon: string;
  readonly qemu: string;
  /** Empty: no filter is configured. */
  readonly seccompProfile: string;
  readonly guestDirectory: string;
  readonly walls: Readonly<Record<WallKind, Wall>>;
  /** Why networks cannot be made; undefined when they can. */
  readonly networksUnavailable: () => Promise<string | undefined>;
}

export async function examine(options: DoctorOptions): Promise<DoctorReport> {
  const checks = await Promise.all(
    [
      ...kernelChecks(),
      cgroupCheck(),
      runtimeCheck(options.runtime),
      programCheck({
        name: "conmon",
        program: options.conmon,
        needed: true,
        meaning: "it holds the output and the exit code of workloads, so that they outlive the daemon",
        remedy: "apt-get install conmon",
      }),
      seccompCheck(options.seccompProfile),
      networkCheck(options.networksUnavailable),
      privilegeCheck(),
      wallCheck("container wall", options.walls.container),
      filesCheck(options.guestDirectory),
      programCheck({
        name: "QEMU",
        program: options.qemu,
        needed: false,
        meaning: "it runs the virtual machines of the vm wall",
        remedy: `apt-get install qemu-system-${process.arch === "arm64" ? "arm" : "x86"}`,
      }),
      guestCheck(options.guestDirectory),
      kvmCheck(options.walls.vm),
      wallCheck("vm wall", options.walls.vm),
      programCheck({
        name: "xz",
        program: "xz",
        needed: false,
        meaning: "it unpacks images that come as .tar.xz",
        remedy: "apt-get install xz-utils",
      }),
    ].map(guarded),
  );
  return { healthy: checks.every(({ status }) => status !== "missing"), checks };
}

/** A check that fails says so, and the others are still shown. */
async function guarded(check: Promise<DoctorCheck>): Promise<DoctorCheck> {
  try {
    return await check;
  } catch (error) {
    return {
      name: "doctor",
      status: "warning",
      found: "",
      meaning: `a check failed: ${messageOf(error)}`,
      remedy: "",
    };
  }
}
