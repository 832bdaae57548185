/** Programs that Hull starts: there or not, and of which version. */
import { existsSync } from "node:fs";
import { basename } from "node:path";
import type { DoctorCheck } from "../../contract/docker.ts";
import { run } from "../../host/spawn.ts";
import { describeWeaknesses, weaknessesOf } from "./runtimes.ts";
import { versionIn } from "./versions.ts";

interface ProgramCheck {
  readonly name: string;
  /** A name in PATH, or a path. */
  readonly program: string;
  /** Whether Hull cannot do without it. */
  readonly needed: boolean;
  readonly meaning: string;
  readonly remedy: string;
}

export async function programCheck(check: ProgramCheck): Promise<DoctorCheck> {
  const { name, meaning, remedy } = check;
  const path = Bun.which(check.program);
  if (path === null)
    return {
      name,
      status: check.needed ? "missing" : "warning",
      found: `no ${check.program} in PATH`,
      meaning,
      remedy,
    };
  const { stdout, stderr } = await run([path, "--version"]);
  const version = versionIn(stdout) ?? versionIn(stderr) ?? "of unknown version";
  const packaged = await packageOf(path);
  return { name, status: "ok", found: foundText(version, packaged), meaning, remedy: "" };
}

/** What copies files into and out of containers is built with the guest. */
export async function filesCheck(directory: string): Promise<DoctorCheck> {
  const path = `${directory}/hull-files`;
  const there = existsSync(path);
  return {
    name: "hull-files",
    status: there ? "ok" : "warning",
    found: there ? path : `no ${path}`,
    meaning: "cp, diff, export and commit need it for workloads of the container wall",
    remedy: there ? "" : "./setup",
  };
}

export async function runtimeCheck(runtime: string): Promise<DoctorCheck> {
  const name = "OCI runtime";
  const remedy = "apt-get install crun";
  const path = Bun.which(runtime);
  if (path === null)
    return {
      name,
      status: "missing",
      found: `no ${runtime} in PATH`,
      meaning: "without it no workload of either wall can start",
      remedy,
    };
  const { stdout } = await run([path, "--version"]);
  const kind = basename(path);
  const version = versionIn(stdout) ?? "0.0";
  const packaged = await packageOf(path);
  const weak = weaknessesOf(kind, version).length > 0;
  return {
    name,
    status: weak ? "warning" : "ok",
    found: `${kind} ${foundText(version, packaged)}`,
    meaning: describeWeaknesses(kind, version, packaged),
    remedy: weak ? `apt-get update && apt-get install --only-upgrade ${packageName(packaged, kind)}` : "",
  };
}

function foundText(version: string, packaged: string): string {
  return packaged === "" ? version : `${version} (package ${packaged})`;
}

function packageName(packaged: string, otherwise: string): string {
  return packaged === "" ? otherwise : (packaged.split(" ")[0] ?? otherwise);
}

/** Name and version of the Debian package that a program belongs to; empty when there is none. */
async function packageOf(path: string): Promise<string> {
  if (Bun.which("dpkg-query") === null) return "";
  const owner = await run(["dpkg-query", "-S", path]);
  const name = /^([^:,\s]+)/.exec(owner.stdout)?.[1];
  if (owner.code !== 0 || name === undefined) return "";
  const shown = await run(["dpkg-query", "-W", name]);
  return shown.code === 0 ? shown.stdout.trim().replace(/^(\S+?)(:\w+)?\s+/, "$1 ") : "";
}
