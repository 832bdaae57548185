/**
 * Shortcuts around processes of crun, each of which costs as much time as the rest of a container's start: what
 * `crun start` and `crun delete` do to its files, and the filter it compiles from the same rules every time.
 * Each falls back on the command when anything is not as expected; other runtimes never take them. Source of
 * the files: crun, src/libcrun/status.c and seccomp.c, alike in all releases from 1.0.
 */
import { closeSync, constants, openSync, readFileSync, rmSync, unlinkSync, writeSync } from "node:fs";
import { basename } from "node:path";
import { type CgroupLayout, removeEmptyCgroup } from "../../host/cgroup.ts";
import { errnoNameOf } from "../../host/system-error.ts";
import type { OciConfig } from "./config.ts";

export function isCrun(runtime: string): boolean {
  return basename(runtime) === "crun";
}

/** Lets a created container run, as `crun start` does: its first process waits for a byte in a fifo. */
export function startByFifo(stateDirectory: string): boolean {
  const path = `${stateDirectory}/exec.fifo`;
  let fifo: number;
  try {
    // Without a reader (the process is gone) this fails at once instead of waiting for one.
    fifo = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (["ENOENT", "ENXIO"].includes(errnoNameOf(error) ?? "")) return false;
    throw error;
  }
  try {
    unlinkSync(path);
    writeSync(fifo, Buffer.of(0));
    return true;
  } finally {
    closeSync(fifo);
  }
}

/** Takes away what crun keeps of a container whose processes have all ended; false when its group is in use. */
export function deleteEnded(stateDirectory: string, layout: CgroupLayout, cgroup: string): boolean {
  if (!removeEmptyCgroup(layout, cgroup)) return false;
  rmSync(stateDirectory, { recursive: true, force: true });
  return true;
}

/**
 * Filters that crun has compiled, by the rules they came from. The rules stay in the configuration: a crun that
 * does not know the annotation compiles them again.
 */
export class CompiledFilters {
  readonly #byRules = new Map<string, string>();

  /** The configuration, with the compiled filter when there is one for its rules. */
  apply(config: OciConfig): OciConfig {
    const filter = this.#byRules.get(rulesOf(config));
    if (filter === undefined) return config;
    return { ...config, annotations: { ...config.annotations, "run.oci.seccomp_bpf_data": filter } };
  }

  /** Remembers the filter of a container that crun has just created. */
  learn(config: OciConfig, stateDirectory: string): void {
    const rules = rulesOf(config);
    if (rules === "" || this.#byRules.has(rules) || this.#byRules.size >= mostFilters) return;
    try {
      const filter = readFileSync(`${stateDirectory}/seccomp.bpf`);
      if (filter.length > 0) this.#byRules.set(rules, filter.toString("base64"));
    } catch (error) {
      if (errnoNameOf(error) !== "ENOENT") throw error;
    }
  }
}

const mostFilters = 64;

function rulesOf({ linux: { seccomp } }: OciConfig): string {
  return seccomp === undefined ? "" : JSON.stringify(seccomp);
}
