/** Set-up and start requests: what a spec means in the words of the agent protocol. */
import { randomBytes } from "node:crypto";
import { hostsFile, resolverFile } from "../network-files.ts";
import type { ExitStatus, ProcessSpec, SandboxSpec } from "../wall.ts";
import type { AgentExit } from "./agent-process.ts";
import { capabilityMask } from "./capabilities.ts";
import { FieldWriter } from "./fields.ts";
import { mountFields, networkFields, parameterFields } from "./network.ts";

/** Milliseconds: the guest reads the program from its disks, on a host that may be busy. */
export const startTimeout = 120_000;

/** Where a program is looked for that is named without a directory, if the workload's environment says nothing. */
const usualPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** The root of an image, ahead of any workload; a start of one like `process` is to be fast. */
export function prepareRootBody({
  layers,
  process,
}: {
  readonly layers: readonly string[];
  readonly process: Pick<ProcessSpec, "args" | "env">;
}): FieldWriter {
  return new FieldWriter().u32(layers.length).strings(boundFiles).strings(placesOfProgram(process));
}

function placesOfProgram({ args, env }: Pick<ProcessSpec, "args" | "env">): string[] {
  const name = args[0] ?? "";
  if (name.includes("/")) return name.startsWith("/") ? [name] : [];
  const path = env.find((each) => each.startsWith("PATH="))?.slice("PATH=".length) ?? usualPath;
  return path.split(":").flatMap((directory) => (directory.startsWith("/") ? [`${directory}/${name}`] : []));
}

/** Files that every workload gets from the daemon, unless the user mounts something there. */
const boundFiles = ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"] as const;

const cpuPeriod = 100_000;
const defaultSize = { columns: 80, rows: 24 };

/** A start request without its handle. */
export function startBody(process: ProcessSpec): Buffer {
  const size = process.size ?? defaultSize;
  return new FieldWriter()
    .strings(process.args)
    .strings(process.env)
    .string(process.cwd === "" ? "/" : process.cwd)
    .string(process.user)
    .u64(capabilityMask(process.capabilities))
    .u8(process.terminal ? 1 : 0)
    .u8(process.stdin ? 1 : 0)
    .u16(size.columns)
    .u16(size.rows)
    .take();
}

/** `freshDisk`: the writable disk is the one that the template has mounted. */
export function setUpBody(spec: SandboxSpec, hostResolver: string, freshDisk: boolean): FieldWriter {
  const { cpus, pids } = spec.resources;
  // A file that the user mounts is not written over.
  const mounted = new Set(spec.mounts?.map(({ target }) => target));
  const all: readonly (readonly [string, string])[] = [
    ...nameFiles(spec),
    ["/etc/resolv.conf", spec.network?.resolver ?? resolverFile(hostResolver)],
  ];
  const files = all.filter(([path]) => !mounted.has(path));
  const fields = new FieldWriter()
    .u32(spec.layers.length)
    .string(spec.hostname)
    .u8(spec.readOnlyRoot ? 1 : 0)
    .u8(freshDisk ? 1 : 0)
    // Whole processors are limited by their number.
    .u32(Number.isInteger(cpus) ? 0 : Math.max(1000, Math.round(cpus * cpuPeriod)))
    .u64(pids)
    .u64(clockNow())
    .string(randomBytes(64));
  const written = new FieldWriter().u32(files.length);
  for (const [path, content] of files) written.string(path).string(content);
  return fields
    .bytes(mountFields(spec.mounts))
    .bytes(written.take())
    .bytes(networkFields(spec.network))
    .bytes(parameterFields(spec.sysctls));
}

/** Files that say what the workload is called: path and content. */
export function nameFiles({
  hostname,
  network,
}: Pick<SandboxSpec, "hostname" | "network">): readonly (readonly [string, string])[] {
  return [
    ["/etc/hostname", `${hostname}\n`],
    ["/etc/hosts", network?.hosts ?? hostsFile(hostname)],
  ];
}

/** Nanoseconds since the epoch. */
export function clockNow(): bigint {
  return BigInt(Math.round((performance.timeOrigin + performance.now()) * 1000)) * 1000n;
}

/** The guest's clock may say anything. */
export function exitStatusOf(exit: AgentExit): ExitStatus {
  const now = Date.now();
  const plausible = exit.finishedAt > 0 && exit.finishedAt < now;
  return { code: exit.code, oomKilled: exit.oomKilled, finishedAt: plausible ? exit.finishedAt : now };
}
