/** Workloads as Docker's clients want to see them: rows of a list, and all there is to know about one. */
import type {
  ContainerConfig,
  ContainerInspect,
  ContainerSummary,
  HostConfig,
} from "../../contract/docker.ts";
import type { WallLabel } from "../../contract/isolation.ts";
import { rfc3339 } from "../../engine/clock.ts";
import type { Engine } from "../../engine/engine.ts";
import type { Workload } from "../../engine/workload.ts";
import { mountMembers, mountPointOf, volumesOf } from "./mount-views.ts";
import { endpointsOf, hostNetworkOf, networkSettingsOf, portSummariesOf } from "./network-views.ts";
import { stateOf, statusOf, statusText } from "./status.ts";

/** How the file systems of workloads are made: EROFS layers under an overlay. */
export const storageDriver = "erofs";

export interface ViewOptions {
  readonly label: WallLabel;
  /** Bytes of the writable layer and of everything; undefined: not asked for. */
  readonly sizes?: { readonly writable: number; readonly all: number } | undefined;
}

export function summaryOf(
  engine: Engine,
  workload: Workload,
  options: ViewOptions,
  now: number,
): ContainerSummary {
  const { record } = workload;
  const { request } = record;
  return {
    Id: record.id,
    Names: [`/${record.name}`],
    Image: request.image,
    ImageID: record.image,
    Command: commandOf(record.spec.process.args),
    Created: Math.floor(record.createdAt / 1000),
    Ports: portSummariesOf(engine.networks.of(workload)),
    ...sizesOf(options),
    Labels: record.labels,
    State: statusOf(record),
    Status: statusText(workload, now),
    HostConfig: { NetworkMode: request.network.mode },
    NetworkSettings: { Networks: endpointsOf(engine, workload) },
    Mounts: record.mounts.map(mountPointOf),
    Hull: { Wall: options.label, Suspended: workload.state === "suspended" },
  };
}

export function inspectOf(engine: Engine, workload: Workload, options: ViewOptions): ContainerInspect {
  const { record } = workload;
  const execIds = engine.execs.runningOf(workload);
  const [path = "", ...args] = record.spec.process.args;
  return {
    Id: record.id,
    Created: rfc3339(record.createdAt),
    Path: path,
    Args: args,
    State: stateOf(workload),
    Image: record.image,
    ...networkFilesOf(workload),
    LogPath: record.spec.logPath,
    Name: `/${record.name}`,
    RestartCount: record.life.restartCount,
    Driver: storageDriver,
    Platform: "linux",
    MountLabel: "",
    ProcessLabel: "",
    AppArmorProfile: "",
    ExecIDs: execIds.length === 0 ? null : execIds,
    HostConfig: hostConfigOf(engine, workload),
    GraphDriver: {
      Name: storageDriver,
      Data: { Layers: [...record.spec.layers].reverse().join(":"), Directory: record.spec.directory },
    },
    ...sizesOf(options),
    Config: configOf(workload, engine.networks.of(workload)?.exposed ?? []),
    NetworkSettings: networkSettingsOf(engine, workload),
    Mounts: record.mounts.map(mountPointOf),
    Hull: { Wall: options.label, Suspended: workload.state === "suspended" },
  };
}

/** As Docker has it in lists: words with spaces in quotes, so that it can be told where they end. */
function commandOf([program = "", ...words]: readonly string[]): string {
  return [program, ...words.map((word) => (word.includes(" ") ? `'${word}'` : word))].join(" ");
}

function sizesOf(options: ViewOptions): { SizeRw?: number; SizeRootFs?: number } {
  const { sizes } = options;
  return sizes === undefined ? {} : { SizeRw: sizes.writable, SizeRootFs: sizes.all };
}

/** The files that are mounted into a container; a virtual machine has its own. */
function networkFilesOf({ record }: Workload) {
  const directory = record.spec.runtimeDirectory;
  const path = (name: string): string =>
    record.wall === "container" && record.life.sandbox ? `${directory}/${name}` : "";
  return {
    ResolvConfPath: path("resolv.conf"),
    HostnamePath: path("hostname"),
    HostsPath: path("hosts"),
  };
}

function configOf(workload: Workload, exposed: readonly string[]): ContainerConfig {
  const { record } = workload;
  const { request, spec } = record;
  const command = request.command ?? [];
  const words = spec.process.args;
  // What was asked for when it was, else what the image gave: the program's words are entry point, then command.
  const entrypoint =
    request.entrypoint ?? (command.length > 0 ? words.slice(0, words.length - command.length) : []);
  const shown =
    command.length > 0 ? command : words.slice(request.entrypoint === undefined ? 0 : entrypoint.length);
  return {
    Hostname: spec.hostname,
    Domainname: request.network.domainname,
    User: spec.process.user,
    AttachStdin: request.attached.stdin,
    AttachStdout: request.attached.stdout,
    AttachStderr: request.attached.stderr,
    Tty: request.terminal,
    OpenStdin: request.stdin,
    StdinOnce: request.stdinOnce,
    Env: spec.process.env,
    Cmd: shown.length === 0 ? null : shown,
    Image: request.image,
    Volumes: volumesOf(record.mounts),
    WorkingDir: spec.process.cwd === "/" ? request.workingDirectory : spec.process.cwd,
    Entrypoint: entrypoint.length === 0 ? null : entrypoint,
    OnBuild: null,
    Labels: record.labels,
    ...(exposed.length === 0 ? {} : { ExposedPorts: Object.fromEntries(exposed.map((port) => [port, {}])) }),
    ...(request.stopSignal === "" ? {} : { StopSignal: request.stopSignal }),
    ...(request.stopTimeout === undefined ? {} : { StopTimeout: request.stopTimeout }),
  };
}

function hostConfigOf(engine: Engine, workload: Workload): HostConfig {
  const { request } = workload.record;
  return {
    ...mountMembers(request),
    ContainerIDFile: "",
    LogConfig: { Type: "json-file", Config: {} },
    ...hostNetworkOf(workload, engine.networks.of(workload)),
    NetworkMode: request.network.mode,
    RestartPolicy: { Name: request.restart.name, MaximumRetryCount: request.restart.maximumRetryCount },
    AutoRemove: request.autoRemove,
    VolumeDriver: "",
    VolumesFrom: request.volumesFrom.length === 0 ? null : request.volumesFrom,
    ConsoleSize: [request.size?.rows ?? 0, request.size?.columns ?? 0],
    CapAdd: request.capAdd.length === 0 ? null : request.capAdd,
    CapDrop: request.capDrop.length === 0 ? null : request.capDrop,
    CgroupnsMode: "private",
    GroupAdd: null,
    IpcMode: "private",
    Cgroup: "",
    OomScoreAdj: 0,
    PidMode: "",
    Privileged: false,
    ReadonlyRootfs: request.readOnlyRoot,
    SecurityOpt: null,
    UTSMode: "",
    UsernsMode: "",
    ShmSize: 64 * 1024 * 1024,
    Runtime: "",
    Isolation: request.wall,
    CpuShares: 0,
    Memory: request.memoryBytes,
    NanoCpus: request.nanoCpus,
    CgroupParent: "",
    CpuPeriod: 0,
    CpuQuota: 0,
    CpusetCpus: "",
    CpusetMems: "",
    Devices: [],
    DeviceCgroupRules: null,
    DeviceRequests: null,
    MemoryReservation: 0,
    MemorySwap: 0,
    OomKillDisable: false,
    PidsLimit: request.pidsLimit === 0 ? null : request.pidsLimit,
    ...(request.storageBytes === 0 ? {} : { StorageOpt: { size: String(request.storageBytes) } }),
    Ulimits: [],
  };
}
