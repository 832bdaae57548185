/**
 * Options of Docker's create request that Hull does not act on. One with the value that clients send anyway is
 * accepted; any other value is refused by name, never ignored.
 */
import { HullError } from "../../contract/errors.ts";

type Members = Readonly<Record<string, unknown>>;

const device = "devices of the host are not passed through a wall";
const sharing = "a workload has namespaces of its own, whichever wall it is behind";
const shownPaths = "what a workload sees of /proc and /sys is the wall's";
const limit = "Hull limits memory, CPUs and the number of processes only";

/** Values that ask for nothing special, beside the empty ones. */
const harmless: Readonly<Record<string, readonly unknown[]>> = {
  CgroupnsMode: ["private"],
  IpcMode: ["private"],
  MemorySwappiness: [-1],
  ShmSize: [64 * 1024 * 1024],
  UTSMode: ["private"],
};

/** Options that concern the client alone; dockerode sends the query's parameters in the body, too. */
const clientSide = new Set([
  ...["ContainerIDFile", "ArgsEscaped", "AttachStdin", "AttachStdout", "AttachStderr"],
  ...["name", "platform"],
]);

const reasons: Readonly<Record<string, string>> = {
  Devices: device,
  DeviceRequests: device,
  DeviceCgroupRules: device,
  Privileged: "it would take the wall away; add single capabilities instead",
  PidMode: sharing,
  IpcMode: sharing,
  UTSMode: sharing,
  UsernsMode: sharing,
  CgroupnsMode: sharing,
  CgroupParent: "Hull places its control groups itself",
  Runtime: "the OCI runtime is a setting of the daemon; the wall is chosen with Isolation",
  LogConfig: "there is one log driver, json-file, without options",
  Healthcheck: "health checks are not run",
  Init: "run an init program in the image instead",
  SecurityOpt: "the seccomp profile and the capabilities are the wall's",
  ...{ BlkioWeight: limit, BlkioWeightDevice: limit, BlkioDeviceReadBps: limit, BlkioDeviceReadIOps: limit },
  ...{ BlkioDeviceWriteBps: limit, BlkioDeviceWriteIOps: limit, OomScoreAdj: limit },
  ...{ CpuRealtimePeriod: limit, CpuRealtimeRuntime: limit, CpuShares: limit },
  GroupAdd: "the groups of a user are those of the image; give --user USER:GROUP for another one",
  Sysctls: "settings of the kernel are the wall's",
  CpusetCpus: limit,
  CpusetMems: limit,
  MemorySwap: limit,
  MemoryReservation: limit,
  MaskedPaths: shownPaths,
  ReadonlyPaths: shownPaths,
  MemorySwappiness: limit,
  OomKillDisable: limit,
  Ulimits: limit,
  ShmSize: limit,
};

/** No path is not the same as no wish: `--security-opt systempaths=unconfined` is said so. */
const meantWhenEmpty = ["MaskedPaths", "ReadonlyPaths"];

/** Refuses every member that is not in `known` and does not have a harmless value. */
export function refuseOthers(members: Members, known: readonly string[], prefix: string): void {
  for (const [name, value] of Object.entries(members)) {
    const isWish = !isEmpty(value) || (meantWhenEmpty.includes(name) && Array.isArray(value));
    if (known.includes(name) || clientSide.has(name) || !isWish) continue;
    if (harmless[name]?.includes(value)) continue;
    throw new HullError("unsupported", {
      what: `${prefix}${name}`,
      where: "",
      why: reasons[name] ?? "this version of Hull knows no such option",
    });
  }
}

/** What Go clients send for an option that nobody set. A map with a key asks for something: `{"/data": {}}`. */
export function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === false || value === 0 || value === "") return true;
  if (Array.isArray(value)) return value.every((item) => item === 0);
  return typeof value === "object" && Object.keys(value).length === 0;
}

const deepest = 16;

/** As `isEmpty`, of a structure whose members Go clients write out one by one. */
export function isEmptyStructure(value: unknown, depth = 0): boolean {
  // Nobody means nothing by that many levels, and a request may have a million.
  if (depth > deepest) return false;
  if (typeof value !== "object" || value === null || Array.isArray(value)) return isEmpty(value);
  return Object.values(value).every((member) => isEmptyStructure(member, depth + 1));
}
