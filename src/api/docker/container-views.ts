/** Workloads as Docker's clients want to see them: rows of a list, and all there is to know about one. */
import type {
  ContainerConfig,
  ContainerInspect,
  ContainerSummary,
  EndpointSettings,
  HostConfig,
} from "../../contract/docker.ts";
import type { WallLabel } from "../../contract/isolation.ts";
import { rfc3339 } from "../../engine/clock.ts";
import type { Workload } from "../../engine/workload.ts";
import { stateOf, statusOf, statusText } from "./status.ts";

/** How the file systems of workloads are made: EROFS layers under an overlay. */
export const storageDriver = "erofs";

export interface ViewOptions {
  readonly label: WallLabel;
  /** Bytes of the writable layer and of everything; undefined: not asked for. */
  readonly sizes?: { readonly writable: number; readonly all: number } | undefined;
}

export function summaryOf(workload: Workload, options: ViewOptions, now: number): ContainerSummary {
  const { record } = workload;
  const { request } = record;
  return {
    Id: record.id,
    Names: [`/${record.name}`],
    Image: request.image,
    ImageID: record.image,
    Command: record.spec.process.args.join(" "),
    Created: Math.floor(record.createdAt / 1000),
    Ports: [],
    ...sizesOf(options),
    Labels: record.labels,
    State: statusOf(record),
    Status: statusText(workload, now),
    HostConfig: { NetworkMode: request.networkMode },
    NetworkSettings: { Networks: networksOf(workload) },
    Mounts: [],
    Hull: { Wall: options.label, Suspended: workload.state === "suspended" },
  };
}

export function inspectOf(
  workload: Workload,
  execIds: readonly string[],
  options: ViewOptions,
): ContainerInspect {
  const { record } = workload;
  const [path = "", ...args] = record.spec.process.args;
  return {
    Id: record.id,
    Created: rfc3339(record.createdAt),
    Path: path,
    Args: args,
    State: stateOf(workload),
    Image: record.image,
    ResolvConfPath: "",
    HostnamePath: "",
    HostsPath: "",
    LogPath: record.spec.logPath,
    Name: `/${record.name}`,
    RestartCount: record.life.restartCount,
    Driver: storageDriver,
    Platform: "linux",
    MountLabel: "",
    ProcessLabel: "",
    AppArmorProfile: "",
    ExecIDs: execIds.length === 0 ? null : execIds,
    HostConfig: hostConfigOf(workload),
    GraphDriver: {
      Name: storageDriver,
      Data: { Layers: [...record.spec.layers].reverse().join(":"), Directory: record.spec.directory },
    },
    ...sizesOf(options),
    Mounts: [],
    Config: configOf(workload),
    NetworkSettings: {
      Bridge: "",
      SandboxID: "",
      SandboxKey: "",
      Ports: {},
      ...noEndpoint,
      Networks: networksOf(workload),
    },
    Hull: { Wall: options.label, Suspended: workload.state === "suspended" },
  };
}

function sizesOf(options: ViewOptions): { SizeRw?: number; SizeRootFs?: number } {
  const { sizes } = options;
  return sizes === undefined ? {} : { SizeRw: sizes.writable, SizeRootFs: sizes.all };
}

const noEndpoint = {
  EndpointID: "",
  Gateway: "",
  GlobalIPv6Address: "",
  GlobalIPv6PrefixLen: 0,
  IPAddress: "",
  IPPrefixLen: 0,
  IPv6Gateway: "",
  MacAddress: "",
};

function networksOf(workload: Workload): Readonly<Record<string, EndpointSettings>> {
  const { networkMode } = workload.record.request;
  const name = networkMode === "default" ? "bridge" : networkMode;
  return {
    [name]: {
      IPAMConfig: null,
      Links: null,
      Aliases: null,
      DriverOpts: null,
      NetworkID: "",
      DNSNames: null,
      ...noEndpoint,
    },
  };
}

function configOf(workload: Workload): ContainerConfig {
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
    Domainname: "",
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
    Volumes: null,
    WorkingDir: spec.process.cwd === "/" ? request.workingDirectory : spec.process.cwd,
    Entrypoint: entrypoint.length === 0 ? null : entrypoint,
    OnBuild: null,
    Labels: record.labels,
    ...(request.exposedPorts.length === 0
      ? {}
      : { ExposedPorts: Object.fromEntries(request.exposedPorts.map((port) => [port, {}])) }),
    ...(request.stopSignal === "" ? {} : { StopSignal: request.stopSignal }),
    ...(request.stopTimeout === undefined ? {} : { StopTimeout: request.stopTimeout }),
  };
}

function hostConfigOf(workload: Workload): HostConfig {
  const { request } = workload.record;
  return {
    Binds: null,
    ContainerIDFile: "",
    LogConfig: { Type: "json-file", Config: {} },
    NetworkMode: request.networkMode,
    PortBindings: {},
    RestartPolicy: { Name: request.restart.name, MaximumRetryCount: request.restart.maximumRetryCount },
    AutoRemove: request.autoRemove,
    VolumeDriver: "",
    VolumesFrom: null,
    ConsoleSize: [request.size?.rows ?? 0, request.size?.columns ?? 0],
    CapAdd: request.capAdd.length === 0 ? null : request.capAdd,
    CapDrop: request.capDrop.length === 0 ? null : request.capDrop,
    CgroupnsMode: "private",
    Dns: [],
    DnsOptions: [],
    DnsSearch: [],
    ExtraHosts: null,
    GroupAdd: null,
    IpcMode: "private",
    Cgroup: "",
    Links: null,
    OomScoreAdj: 0,
    PidMode: "",
    Privileged: false,
    PublishAllPorts: false,
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
    Ulimits: [],
  };
}
