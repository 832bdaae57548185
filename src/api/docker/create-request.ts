/** Docker's create request, checked and translated to the engine's. */
import { cpus } from "node:os";
import * as v from "valibot";
import { dictionary } from "../../contract/dictionary.ts";
import { HullError } from "../../contract/errors.ts";
import { acceptedIsolations, type WallKind, wallOfIsolation } from "../../contract/isolation.ts";
import { capabilitiesOf } from "../../engine/capabilities.ts";
import type { RunRequest } from "../../engine/request.ts";
import { parseRestartPolicy } from "../../engine/restart.ts";
import { parseSignal } from "../../engine/signals.ts";
import type { TerminalSize } from "../../wall/wall.ts";
import { mountBody, translateMounts } from "./mount-request.ts";
import { networkEntries, parsePort, translateNetwork } from "./network-request.ts";
import { isEmpty, isEmptyStructure, refuseOthers } from "./options.ts";
import { storageBytesOf } from "./storage-option.ts";

/** The least that the scheduler can be told: 1 ms in 100. */
const fewestNanoCpus = 1e7;
/** PID_MAX_LIMIT of a 64-bit kernel. */
const mostProcesses = 4 * 1024 * 1024;
const smallestMemory = 6 * 1024 * 1024;

const text = v.nullish(v.string(), "");
const flag = v.nullish(v.boolean(), false);
const count = v.nullish(v.pipe(v.number(), v.safeInteger()), 0);
const texts = v.nullish(v.array(v.string()), []);
const members = v.nullish(dictionary(v.unknown()), {});
/** A word or a list of words; null: not given. */
const words = v.nullish(v.union([v.string(), v.array(v.string())]));
export const consoleSize = v.nullish(
  v.array(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(65_535))),
  [],
);

const hostConfig = v.looseObject({
  AutoRemove: flag,
  Binds: texts,
  CapAdd: texts,
  CapDrop: texts,
  ConsoleSize: consoleSize,
  CpuPeriod: count,
  CpuQuota: count,
  Isolation: text,
  LogConfig: v.nullish(v.object({ Type: text, Config: members }), { Type: "", Config: {} }),
  Memory: count,
  Mounts: v.nullish(v.array(mountBody), []),
  NanoCpus: count,
  ...networkEntries,
  PidsLimit: count,
  ReadonlyRootfs: flag,
  RestartPolicy: v.nullish(v.object({ Name: text, MaximumRetryCount: count }), {
    Name: "",
    MaximumRetryCount: 0,
  }),
  StorageOpt: v.nullish(dictionary(v.string()), {}),
  Tmpfs: v.nullish(dictionary(v.string()), {}),
  VolumeDriver: text,
  VolumesFrom: texts,
});

const hostConfigMembers = Object.keys(hostConfig.entries);

export const createBody = v.looseObject({
  AttachStdin: flag,
  AttachStdout: flag,
  AttachStderr: flag,
  Cmd: words,
  Domainname: text,
  Entrypoint: words,
  Env: texts,
  ExposedPorts: members,
  Healthcheck: members,
  HostConfig: v.nullish(hostConfig),
  Hostname: text,
  Image: text,
  Labels: v.nullish(dictionary(v.string()), {}),
  MacAddress: text,
  NetworkDisabled: flag,
  NetworkingConfig: v.nullish(v.looseObject({ EndpointsConfig: members })),
  OpenStdin: flag,
  StdinOnce: flag,
  StopSignal: text,
  StopTimeout: v.nullish(v.pipe(v.number(), v.integer())),
  Tty: flag,
  User: text,
  Volumes: members,
  WorkingDir: text,
});

const createMembers = Object.keys(createBody.entries);

type CreateBody = v.InferOutput<typeof createBody>;

export function translateCreate(body: CreateBody, name: string, platform: string): RunRequest {
  const host = body.HostConfig ?? v.parse(hostConfig, {});
  refuseOthers(body, createMembers, "");
  refuseOthers(host, hostConfigMembers, "HostConfig.");
  refuseHealthcheck(body.Healthcheck);
  refuseLogConfig(host.LogConfig);
  requirePlatform(platform);
  if (body.Image === "")
    throw new HullError("invalidParameter", { what: "Image", value: "", why: "no image specified" });
  if (body.StopSignal !== "") parseSignal(body.StopSignal);
  if (!["", "local"].includes(host.VolumeDriver))
    throw new HullError("invalidParameter", {
      what: "VolumeDriver",
      value: host.VolumeDriver,
      why: "there is one driver, local",
    });
  capabilitiesOf(host.CapAdd, host.CapDrop);
  const restart = parseRestartPolicy(host.RestartPolicy.Name, host.RestartPolicy.MaximumRetryCount);
  if (host.AutoRemove && restart.name !== "no")
    throw new HullError("conflict", {
      what: "AutoRemove and a restart policy exclude each other: choose one",
    });
  return {
    name: name === "" ? undefined : name,
    image: body.Image,
    wall: wallOf(host.Isolation),
    isolation: host.Isolation,
    entrypoint: wordsOf(body.Entrypoint),
    command: wordsOf(body.Cmd),
    env: body.Env,
    workingDirectory: body.WorkingDir,
    user: body.User,
    hostname: hostnameOf(body.Hostname),
    labels: body.Labels,
    exposedPorts: Object.keys(body.ExposedPorts).map(checkPort),
    terminal: body.Tty,
    stdin: body.OpenStdin,
    stdinOnce: body.StdinOnce,
    attached: { stdin: body.AttachStdin, stdout: body.AttachStdout, stderr: body.AttachStderr },
    size: sizeOf(host.ConsoleSize),
    readOnlyRoot: host.ReadonlyRootfs,
    memoryBytes: memoryOf(host.Memory),
    nanoCpus: nanoCpusOf(host),
    pidsLimit: pidsLimitOf(host.PidsLimit),
    storageBytes: storageBytesOf(host.StorageOpt),
    capAdd: host.CapAdd,
    capDrop: host.CapDrop,
    stopSignal: body.StopSignal,
    stopTimeout: body.StopTimeout ?? undefined,
    restart,
    autoRemove: host.AutoRemove,
    network: translateNetwork(host, {
      Hostname: body.Hostname,
      Domainname: body.Domainname,
      MacAddress: body.MacAddress,
      NetworkDisabled: body.NetworkDisabled,
      Labels: body.Labels,
      endpoints: body.NetworkingConfig?.EndpointsConfig ?? {},
    }),
    links: host.Links.map((link) => link.replace(/^\//, "")),
    mounts: translateMounts({
      binds: host.Binds,
      mounts: host.Mounts,
      tmpfs: host.Tmpfs,
      volumes: Object.keys(body.Volumes),
    }),
    volumesFrom: host.VolumesFrom,
    ofBuild: false,
  };
}

function checkPort(word: string): string {
  const { port, protocol } = parsePort(word);
  return `${port}/${protocol}`;
}

function wallOf(isolation: string): WallKind {
  const wall = wallOfIsolation(isolation);
  if (wall === undefined)
    throw new HullError("invalidIsolation", { value: isolation, accepted: acceptedIsolations.join(", ") });
  return wall;
}

function wordsOf(value: string | string[] | null | undefined): string[] | undefined {
  if (value === null || value === undefined) return undefined;
  return typeof value === "string" ? [value] : value.length === 0 ? undefined : value;
}

/** `[height, width]`, as Docker orders it; zeros mean that the client has no terminal. */
export function sizeOf(size: readonly number[]): TerminalSize | undefined {
  const [rows = 0, columns = 0] = size;
  return rows === 0 || columns === 0 ? undefined : { rows, columns };
}

function hostnameOf(hostname: string): string {
  if (hostname !== "" && !/^[a-zA-Z0-9]([a-zA-Z0-9.-]{0,61}[a-zA-Z0-9])?$/.test(hostname))
    throw new HullError("invalidParameter", {
      what: "hostname",
      value: hostname,
      why: "a host name has 1 to 63 letters, digits, dots and hyphens, and begins and ends with a letter or digit",
    });
  return hostname;
}

function memoryOf(bytes: number): number {
  if (bytes !== 0 && bytes < smallestMemory)
    throw new HullError("invalidParameter", {
      what: "memory limit",
      value: bytes,
      why: `the smallest is ${smallestMemory} bytes`,
    });
  return bytes;
}

function nanoCpusOf(host: { NanoCpus: number; CpuPeriod: number; CpuQuota: number }): number {
  if (host.NanoCpus > 0 && (host.CpuQuota !== 0 || host.CpuPeriod !== 0))
    throw new HullError("conflict", {
      what: "NanoCpus and CpuQuota or CpuPeriod exclude each other: choose one",
    });
  const nanoCpus =
    host.CpuQuota <= 0
      ? host.NanoCpus
      : Math.round((host.CpuQuota / (host.CpuPeriod <= 0 ? 100_000 : host.CpuPeriod)) * 1e9);
  const most = cpus().length;
  if (nanoCpus !== 0 && (nanoCpus < fewestNanoCpus || nanoCpus > most * 1e9))
    throw new HullError("invalidParameter", {
      what: "CPUs",
      value: nanoCpus / 1e9,
      why: `this host gives from ${fewestNanoCpus / 1e9} to ${most}`,
    });
  return nanoCpus;
}

/** No limit is zero, and to Docker every negative number, too. */
function pidsLimitOf(limit: number): number {
  if (limit > mostProcesses)
    throw new HullError("invalidParameter", {
      what: "limit of processes",
      value: limit,
      why: `the kernel has no more than ${mostProcesses}; use 0 for no limit`,
    });
  return Math.max(0, limit);
}

export function refuseHealthcheck(healthcheck: Readonly<Record<string, unknown>>): void {
  const test = healthcheck.Test;
  if (isEmptyStructure(healthcheck) || (Array.isArray(test) && test[0] === "NONE")) return;
  throw new HullError("unsupported", { what: "Healthcheck", where: "", why: "health checks are not run" });
}

function refuseLogConfig(config: { Type: string; Config: Readonly<Record<string, unknown>> }): void {
  if (["", "json-file"].includes(config.Type) && isEmpty(config.Config)) return;
  throw new HullError("unsupported", {
    what: `HostConfig.LogConfig ${config.Type}`,
    where: "",
    why: "there is one log driver, json-file, without options",
  });
}

const architectures: Partial<Record<NodeJS.Architecture, string>> = { x64: "amd64" };

/** The host's platform, in Docker's words. */
export const hostArchitecture = architectures[process.arch] ?? process.arch;

function requirePlatform(platform: string): void {
  if (platform === "" || platform === "linux" || platform.startsWith(`linux/${hostArchitecture}`)) return;
  throw new HullError("unsupported", {
    what: `platform ${platform}`,
    where: " here",
    why: `this host runs linux/${hostArchitecture}`,
  });
}
