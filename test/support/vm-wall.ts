/** Vm walls of a test's own, and workloads for them. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { processSpec, shell } from "../../src/wall/conformance/bench.ts";
import type { VmWallOptions } from "../../src/wall/vm/vm-wall.ts";
import type { SandboxSpec } from "../../src/wall/wall.ts";

export function vmWallOptions(stateDirectory: string, changes: Partial<VmWallOptions> = {}): VmWallOptions {
  return {
    guestDirectory: join(import.meta.dir, "../../.cache/guest"),
    stateDirectory,
    templateDirectory: join(stateDirectory, "templates"),
    requireKvm: false,
    runtime: "crun",
    conmon: "conmon",
    qemu: "qemu-system-x86_64",
    ...changes,
  };
}

export interface SpecPlaces {
  /** Where each workload gets a directory, and its log in there, and another one while it runs. */
  readonly directory: string;
  readonly layers: readonly string[];
}

/** A new workload that runs a shell's script. */
export function vmSpec(
  { directory, layers }: SpecPlaces,
  script: string,
  changes: Partial<SandboxSpec> = {},
): SandboxSpec {
  const id = Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("hex");
  const name = id.slice(0, 12);
  const own = join(directory, `w-${name}`);
  mkdirSync(own);
  return {
    id,
    name,
    directory: own,
    runtimeDirectory: join(directory, `r-${name}`),
    layers,
    process: processSpec(shell(script)),
    hostname: "vm",
    readOnlyRoot: false,
    resources: { memoryBytes: 0, cpus: 0, pids: 0 },
    logPath: join(own, "log"),
    ...changes,
  };
}
