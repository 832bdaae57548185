/**
 * The wire types of the Docker Engine API, as far as Hull speaks it: what the API sends and the SDK reads.
 * Source: the Engine API reference, versions 1.24 to 1.47. Names are the wire's own.
 *
 * Requests: every member may be missing or null (Go clients send null for empty lists and maps).
 * Responses: members without `?` are always sent.
 * Times are RFC 3339 with nanoseconds unless said otherwise; `0001-01-01T00:00:00Z` means never.
 */

/** The version of the API that Hull speaks, and the oldest it answers to. */
export const apiVersion = "1.47";
export const minimumApiVersion = "1.24";

/** Docker's word for a time that has not come. */
export const zeroTime = "0001-01-01T00:00:00Z";

type Optional<T> = T | null | undefined;

/** The body of every answer with a status of 400 and above. */
export interface ErrorBody {
  readonly message: string;
  /** Hull's own: the code of the error table and what fills its message. */
  readonly code?: string;
  readonly details?: Readonly<Record<string, string | number>>;
}

// ---------------------------------------------------------------------------------------------------------
// Containers: requests

/** POST /containers/create?name=&platform= */
export interface ContainerCreateRequest extends ContainerConfigRequest {
  readonly HostConfig?: Optional<HostConfigRequest>;
  readonly NetworkingConfig?: Optional<{
    readonly EndpointsConfig?: Optional<Readonly<Record<string, Optional<EndpointSettings>>>>;
  }>;
}

export interface ContainerConfigRequest {
  readonly Hostname?: Optional<string>;
  readonly Domainname?: Optional<string>;
  readonly User?: Optional<string>;
  readonly AttachStdin?: Optional<boolean>;
  readonly AttachStdout?: Optional<boolean>;
  readonly AttachStderr?: Optional<boolean>;
  readonly Tty?: Optional<boolean>;
  readonly OpenStdin?: Optional<boolean>;
  /** Standard input ends for good when the first client that was attached to it leaves. */
  readonly StdinOnce?: Optional<boolean>;
  /** `NAME=value`; `NAME` alone removes a variable of the image. */
  readonly Env?: Optional<readonly string[]>;
  /** A string is one word. */
  readonly Cmd?: Optional<readonly string[] | string>;
  /** A string is one word; `[""]` resets the image's. */
  readonly Entrypoint?: Optional<readonly string[] | string>;
  readonly Image?: Optional<string>;
  readonly WorkingDir?: Optional<string>;
  readonly Labels?: Optional<Readonly<Record<string, string>>>;
  readonly Volumes?: Optional<Readonly<Record<string, unknown>>>;
  readonly ExposedPorts?: Optional<Readonly<Record<string, unknown>>>;
  readonly NetworkDisabled?: Optional<boolean>;
  readonly MacAddress?: Optional<string>;
  readonly OnBuild?: Optional<readonly string[]>;
  readonly Shell?: Optional<readonly string[]>;
  readonly ArgsEscaped?: Optional<boolean>;
  readonly Healthcheck?: Optional<Readonly<Record<string, unknown>>>;
  readonly StopSignal?: Optional<string>;
  /** Seconds. */
  readonly StopTimeout?: Optional<number>;
}

/** The part of HostConfig that Hull acts on, and the parts that clients send and that must be looked at to be refused. */
export interface HostConfigRequest {
  readonly Isolation?: Optional<string>;
  readonly AutoRemove?: Optional<boolean>;
  /** Bytes. */
  readonly Memory?: Optional<number>;
  /** Bytes; -1: unlimited swap. */
  readonly MemorySwap?: Optional<number>;
  readonly MemoryReservation?: Optional<number>;
  readonly MemorySwappiness?: Optional<number>;
  readonly OomKillDisable?: Optional<boolean>;
  /** CPUs times 10^9. */
  readonly NanoCpus?: Optional<number>;
  readonly CpuShares?: Optional<number>;
  /** Microseconds. */
  readonly CpuPeriod?: Optional<number>;
  readonly CpuQuota?: Optional<number>;
  readonly CpusetCpus?: Optional<string>;
  readonly CpusetMems?: Optional<string>;
  /** 0 and -1: no limit. */
  readonly PidsLimit?: Optional<number>;
  readonly ReadonlyRootfs?: Optional<boolean>;
  readonly CapAdd?: Optional<readonly string[]>;
  readonly CapDrop?: Optional<readonly string[]>;
  readonly Privileged?: Optional<boolean>;
  readonly Init?: Optional<boolean>;
  readonly Binds?: Optional<readonly string[]>;
  readonly Mounts?: Optional<readonly Readonly<Record<string, unknown>>[]>;
  readonly Tmpfs?: Optional<Readonly<Record<string, string>>>;
  readonly VolumesFrom?: Optional<readonly string[]>;
  readonly VolumeDriver?: Optional<string>;
  readonly NetworkMode?: Optional<string>;
  readonly PortBindings?: Optional<Readonly<Record<string, Optional<readonly PortBinding[]>>>>;
  readonly PublishAllPorts?: Optional<boolean>;
  readonly Links?: Optional<readonly string[]>;
  readonly Dns?: Optional<readonly string[]>;
  readonly DnsOptions?: Optional<readonly string[]>;
  readonly DnsSearch?: Optional<readonly string[]>;
  readonly ExtraHosts?: Optional<readonly string[]>;
  readonly RestartPolicy?: Optional<RestartPolicy>;
  readonly LogConfig?: Optional<{
    readonly Type?: Optional<string>;
    readonly Config?: Optional<Readonly<Record<string, string>>>;
  }>;
  readonly Runtime?: Optional<string>;
  readonly SecurityOpt?: Optional<readonly string[]>;
  readonly Devices?: Optional<readonly Readonly<Record<string, unknown>>[]>;
  readonly DeviceRequests?: Optional<readonly Readonly<Record<string, unknown>>[]>;
  readonly DeviceCgroupRules?: Optional<readonly string[]>;
  readonly GroupAdd?: Optional<readonly string[]>;
  readonly Ulimits?: Optional<
    readonly { readonly Name: string; readonly Soft: number; readonly Hard: number }[]
  >;
  readonly Sysctls?: Optional<Readonly<Record<string, string>>>;
  readonly ShmSize?: Optional<number>;
  readonly OomScoreAdj?: Optional<number>;
  readonly PidMode?: Optional<string>;
  readonly IpcMode?: Optional<string>;
  readonly UTSMode?: Optional<string>;
  readonly UsernsMode?: Optional<string>;
  readonly CgroupnsMode?: Optional<string>;
  readonly CgroupParent?: Optional<string>;
  readonly Cgroup?: Optional<string>;
  readonly ContainerIDFile?: Optional<string>;
  readonly StorageOpt?: Optional<Readonly<Record<string, string>>>;
  readonly MaskedPaths?: Optional<readonly string[]>;
  readonly ReadonlyPaths?: Optional<readonly string[]>;
  /** `[height, width]`. */
  readonly ConsoleSize?: Optional<readonly number[]>;
}

export interface RestartPolicy {
  readonly Name?: Optional<string>;
  readonly MaximumRetryCount?: Optional<number>;
}

export interface PortBinding {
  readonly HostIp?: Optional<string>;
  readonly HostPort?: Optional<string>;
}

export interface ContainerCreateResponse {
  readonly Id: string;
  readonly Warnings: readonly string[];
}

/** POST /containers/{id}/wait?condition= ; the head of the answer is sent at once, the body when it is known. */
export interface ContainerWaitResponse {
  readonly StatusCode: number;
  /** Set when the exit status cannot be known. */
  readonly Error?: { readonly Message: string } | null;
}

export type WaitCondition = "not-running" | "next-exit" | "removed";

// ---------------------------------------------------------------------------------------------------------
// Containers: inspect and list

export type ContainerStatus =
  | "created"
  | "running"
  | "paused"
  | "restarting"
  | "removing"
  | "exited"
  | "dead";

/** GET /containers/{id}/json */
export interface ContainerInspect {
  readonly Id: string;
  readonly Created: string;
  /** The program, without its arguments. */
  readonly Path: string;
  readonly Args: readonly string[];
  readonly State: ContainerState;
  /** The image's id. */
  readonly Image: string;
  readonly ResolvConfPath: string;
  readonly HostnamePath: string;
  readonly HostsPath: string;
  readonly LogPath: string;
  /** With a leading slash. */
  readonly Name: string;
  readonly RestartCount: number;
  readonly Driver: string;
  readonly Platform: string;
  readonly MountLabel: string;
  readonly ProcessLabel: string;
  readonly AppArmorProfile: string;
  readonly ExecIDs: readonly string[] | null;
  readonly HostConfig: HostConfig;
  readonly GraphDriver: { readonly Name: string; readonly Data: Readonly<Record<string, string>> | null };
  readonly SizeRw?: number;
  readonly SizeRootFs?: number;
  readonly Mounts: readonly MountPoint[];
  readonly Config: ContainerConfig;
  readonly NetworkSettings: NetworkSettings;
  readonly Hull: HullContainer;
}

/** What Hull adds to Docker's words about a container. */
export interface HullContainer {
  /** `container`, `vm` or `vm (tcg)`. */
  readonly Wall: string;
}

export interface ContainerState {
  readonly Status: ContainerStatus;
  readonly Running: boolean;
  readonly Paused: boolean;
  readonly Restarting: boolean;
  readonly OOMKilled: boolean;
  readonly Dead: boolean;
  /** On the host; 0 when not running. */
  readonly Pid: number;
  readonly ExitCode: number;
  /** Why the last start failed or the exit status is unknown; empty otherwise. */
  readonly Error: string;
  readonly StartedAt: string;
  readonly FinishedAt: string;
}

export interface ContainerConfig {
  readonly Hostname: string;
  readonly Domainname: string;
  readonly User: string;
  readonly AttachStdin: boolean;
  readonly AttachStdout: boolean;
  readonly AttachStderr: boolean;
  readonly Tty: boolean;
  readonly OpenStdin: boolean;
  readonly StdinOnce: boolean;
  readonly Env: readonly string[];
  readonly Cmd: readonly string[] | null;
  readonly Image: string;
  readonly Volumes: Readonly<Record<string, Record<string, never>>> | null;
  readonly WorkingDir: string;
  readonly Entrypoint: readonly string[] | null;
  readonly OnBuild: readonly string[] | null;
  readonly Labels: Readonly<Record<string, string>>;
  readonly ExposedPorts?: Readonly<Record<string, Record<string, never>>>;
  readonly StopSignal?: string;
  readonly StopTimeout?: number;
}

/** The answering side of HostConfigRequest: what was asked for, with defaults filled in. */
export interface HostConfig extends HostConfigRequest {
  /** `container` or `vm`. */
  readonly Isolation: string;
  readonly AutoRemove: boolean;
  readonly Memory: number;
  readonly NanoCpus: number;
  readonly PidsLimit: number | null;
  readonly ReadonlyRootfs: boolean;
  readonly Privileged: boolean;
  readonly NetworkMode: string;
  readonly RestartPolicy: { readonly Name: string; readonly MaximumRetryCount: number };
  readonly LogConfig: { readonly Type: string; readonly Config: Readonly<Record<string, string>> };
}

export interface MountPoint {
  readonly Type: string;
  readonly Name?: string;
  readonly Source: string;
  readonly Destination: string;
  readonly Driver?: string;
  readonly Mode: string;
  readonly RW: boolean;
  readonly Propagation: string;
}

export interface NetworkSettings {
  readonly Bridge: string;
  readonly SandboxID: string;
  readonly SandboxKey: string;
  readonly Ports: Readonly<Record<string, readonly PortBinding[] | null>>;
  readonly EndpointID: string;
  readonly Gateway: string;
  readonly GlobalIPv6Address: string;
  readonly GlobalIPv6PrefixLen: number;
  readonly IPAddress: string;
  readonly IPPrefixLen: number;
  readonly IPv6Gateway: string;
  readonly MacAddress: string;
  readonly Networks: Readonly<Record<string, EndpointSettings>>;
}

/** Every member is sent by the API; clients send any part of them. */
export interface EndpointSettings {
  readonly IPAMConfig?: Optional<Readonly<Record<string, unknown>>>;
  readonly Links?: Optional<readonly string[]>;
  readonly Aliases?: Optional<readonly string[]>;
  readonly MacAddress?: Optional<string>;
  readonly DriverOpts?: Optional<Readonly<Record<string, string>>>;
  readonly NetworkID?: Optional<string>;
  readonly EndpointID?: Optional<string>;
  readonly Gateway?: Optional<string>;
  readonly IPAddress?: Optional<string>;
  readonly IPPrefixLen?: Optional<number>;
  readonly IPv6Gateway?: Optional<string>;
  readonly GlobalIPv6Address?: Optional<string>;
  readonly GlobalIPv6PrefixLen?: Optional<number>;
  readonly DNSNames?: Optional<readonly string[]>;
}

/** One row of GET /containers/json?all=&limit=&size=&filters= */
export interface ContainerSummary {
  readonly Id: string;
  /** With leading slashes. */
  readonly Names: readonly string[];
  /** As it was asked for. */
  readonly Image: string;
  readonly ImageID: string;
  /** Program and arguments in one line. */
  readonly Command: string;
  /** Seconds since the epoch. */
  readonly Created: number;
  readonly Ports: readonly PortSummary[];
  readonly SizeRw?: number;
  readonly SizeRootFs?: number;
  readonly Labels: Readonly<Record<string, string>>;
  readonly State: ContainerStatus;
  /** For people: `Up 2 minutes`, `Exited (0) 3 seconds ago`. */
  readonly Status: string;
  readonly HostConfig: { readonly NetworkMode: string };
  readonly NetworkSettings: { readonly Networks: Readonly<Record<string, EndpointSettings>> };
  readonly Mounts: readonly MountPoint[];
  readonly Hull: HullContainer;
}

export interface PortSummary {
  readonly IP?: string;
  readonly PrivatePort: number;
  readonly PublicPort?: number;
  readonly Type: string;
}

/** GET /containers/{id}/top?ps_args= */
export interface ContainerTop {
  readonly Titles: readonly string[];
  readonly Processes: readonly (readonly string[])[];
}

/** One line of GET /containers/{id}/stats?stream=&one-shot= */
export interface ContainerStats {
  readonly id: string;
  /** With a leading slash. */
  readonly name: string;
  readonly read: string;
  readonly preread: string;
  readonly pids_stats: { readonly current?: number; readonly limit?: number };
  readonly num_procs: number;
  readonly cpu_stats: CpuStats;
  readonly precpu_stats: CpuStats;
  readonly memory_stats: {
    readonly usage?: number;
    readonly max_usage?: number;
    readonly limit?: number;
    readonly stats?: Readonly<Record<string, number>>;
  };
  readonly blkio_stats: Readonly<Record<string, unknown>>;
  readonly networks?: Readonly<Record<string, NetworkStats>>;
}

export interface CpuStats {
  readonly cpu_usage: {
    /** Nanoseconds. */
    readonly total_usage: number;
    readonly usage_in_kernelmode: number;
    readonly usage_in_usermode: number;
    readonly percpu_usage?: readonly number[];
  };
  /** Nanoseconds of all CPUs of the host. */
  readonly system_cpu_usage?: number;
  readonly online_cpus?: number;
  readonly throttling_data: {
    readonly periods: number;
    readonly throttled_periods: number;
    readonly throttled_time: number;
  };
}

export interface NetworkStats {
  readonly rx_bytes: number;
  readonly rx_packets: number;
  readonly rx_errors: number;
  readonly rx_dropped: number;
  readonly tx_bytes: number;
  readonly tx_packets: number;
  readonly tx_errors: number;
  readonly tx_dropped: number;
}

// ---------------------------------------------------------------------------------------------------------
// Exec

/** POST /containers/{id}/exec */
export interface ExecCreateRequest {
  readonly AttachStdin?: Optional<boolean>;
  readonly AttachStdout?: Optional<boolean>;
  readonly AttachStderr?: Optional<boolean>;
  readonly Tty?: Optional<boolean>;
  /** `[height, width]`. */
  readonly ConsoleSize?: Optional<readonly number[]>;
  readonly DetachKeys?: Optional<string>;
  readonly Env?: Optional<readonly string[]>;
  readonly Cmd?: Optional<readonly string[]>;
  readonly Privileged?: Optional<boolean>;
  readonly User?: Optional<string>;
  readonly WorkingDir?: Optional<string>;
}

export interface ExecCreateResponse {
  readonly Id: string;
}

/** POST /exec/{id}/start */
export interface ExecStartRequest {
  readonly Detach?: Optional<boolean>;
  readonly Tty?: Optional<boolean>;
  readonly ConsoleSize?: Optional<readonly number[]>;
}

/** GET /exec/{id}/json */
export interface ExecInspect {
  readonly ID: string;
  readonly ContainerID: string;
  readonly Running: boolean;
  /** null while it runs or when it has not been started. */
  readonly ExitCode: number | null;
  readonly Pid: number;
  readonly OpenStdin: boolean;
  readonly OpenStdout: boolean;
  readonly OpenStderr: boolean;
  readonly CanRemove: boolean;
  readonly DetachKeys: string;
  readonly ProcessConfig: {
    readonly tty: boolean;
    readonly entrypoint: string;
    readonly arguments: readonly string[];
    readonly privileged: boolean;
    readonly user: string;
  };
}

// ---------------------------------------------------------------------------------------------------------
// Attach, logs, exec: the stream

/**
 * A stream without a terminal is multiplexed: frames with a head of 8 bytes (stream, 0, 0, 0, size big-endian)
 * and `size` bytes. With a terminal it is raw.
 */
export const multiplexedStream = "application/vnd.docker.multiplexed-stream";
export const rawStream = "application/vnd.docker.raw-stream";
export const streamIds = { stdin: 0, stdout: 1, stderr: 2, systemError: 3 } as const;
export const frameHeadBytes = 8;

// ---------------------------------------------------------------------------------------------------------
// Images

/** One row of GET /images/json?all=&filters=&digests= */
export interface ImageSummary {
  readonly Id: string;
  readonly ParentId: string;
  readonly RepoTags: readonly string[];
  readonly RepoDigests: readonly string[];
  /** Seconds since the epoch. */
  readonly Created: number;
  readonly Size: number;
  readonly SharedSize: number;
  readonly VirtualSize?: number;
  readonly Labels: Readonly<Record<string, string>> | null;
  /** Containers that use it; -1 when it was not counted. */
  readonly Containers: number;
}

/** GET /images/{name}/json */
export interface ImageInspect {
  readonly Id: string;
  readonly RepoTags: readonly string[];
  readonly RepoDigests: readonly string[];
  readonly Parent: string;
  readonly Comment: string;
  readonly Created: string;
  readonly DockerVersion: string;
  readonly Author: string;
  readonly Config: {
    readonly User: string;
    readonly ExposedPorts?: Readonly<Record<string, Record<string, never>>>;
    readonly Env: readonly string[];
    readonly Entrypoint: readonly string[] | null;
    readonly Cmd: readonly string[] | null;
    readonly Volumes?: Readonly<Record<string, Record<string, never>>>;
    readonly WorkingDir: string;
    readonly Labels: Readonly<Record<string, string>> | null;
    readonly StopSignal?: string;
  };
  readonly Architecture: string;
  readonly Variant?: string;
  readonly Os: string;
  readonly Size: number;
  readonly VirtualSize?: number;
  readonly GraphDriver: { readonly Name: string; readonly Data: Readonly<Record<string, string>> | null };
  readonly RootFS: { readonly Type: string; readonly Layers: readonly string[] };
  readonly Metadata: { readonly LastTagTime: string };
}

/** One row of GET /images/{name}/history */
export interface ImageHistoryItem {
  /** `<missing>` for a layer that is no image of its own. */
  readonly Id: string;
  /** Seconds since the epoch. */
  readonly Created: number;
  readonly CreatedBy: string;
  readonly Tags: readonly string[] | null;
  readonly Size: number;
  readonly Comment: string;
}

/** One row of DELETE /images/{name}?force=&noprune= */
export interface ImageDeleteItem {
  readonly Untagged?: string;
  readonly Deleted?: string;
}

/** One line of POST /images/create (pull and import) and POST /images/load. */
export interface ProgressLine {
  /** Load and import say what they made in this one, with a newline. */
  readonly stream?: string;
  readonly status?: string;
  readonly id?: string;
  readonly progress?: string;
  readonly progressDetail?: { readonly current?: number; readonly total?: number };
  readonly error?: string;
  readonly errorDetail?: { readonly message: string; readonly code?: number };
}

/** The header X-Registry-Auth: this, as JSON in URL-safe base64. */
export interface RegistryAuthHeader {
  readonly username?: string;
  readonly password?: string;
  readonly auth?: string;
  readonly email?: string;
  readonly serveraddress?: string;
  readonly identitytoken?: string;
  readonly registrytoken?: string;
}

// ---------------------------------------------------------------------------------------------------------
// System

/** One line of GET /events?since=&until=&filters= */
export interface EventMessage {
  readonly Type: "container" | "image" | "daemon" | "network" | "volume";
  readonly Action: string;
  readonly Actor: {
    readonly ID: string;
    /** A container's labels, and `image`, `name`, `exitCode`, `signal`… */
    readonly Attributes: Readonly<Record<string, string>>;
  };
  readonly scope: "local";
  /** Seconds since the epoch. */
  readonly time: number;
  readonly timeNano: number;
  /** The spellings of API versions before 1.22, which clients still read. */
  readonly status?: string;
  readonly id?: string;
  readonly from?: string;
}

/** GET /version */
export interface SystemVersion {
  readonly Platform: { readonly Name: string };
  readonly Components: readonly {
    readonly Name: string;
    readonly Version: string;
    readonly Details: Readonly<Record<string, string>>;
  }[];
  readonly Version: string;
  readonly ApiVersion: string;
  readonly MinAPIVersion: string;
  readonly GitCommit: string;
  /** Clients written for Docker print it. */
  readonly GoVersion: string;
  readonly Os: string;
  readonly Arch: string;
  readonly KernelVersion: string;
  readonly BuildTime: string;
}

/** GET /info */
export interface SystemInfo {
  readonly ID: string;
  readonly Containers: number;
  readonly ContainersRunning: number;
  readonly ContainersPaused: number;
  readonly ContainersStopped: number;
  readonly Images: number;
  readonly Driver: string;
  readonly DriverStatus: readonly (readonly [string, string])[];
  readonly DockerRootDir: string;
  readonly Plugins: {
    readonly Volume: readonly string[];
    readonly Network: readonly string[];
    readonly Authorization: readonly string[] | null;
    readonly Log: readonly string[];
  };
  readonly MemoryLimit: boolean;
  readonly SwapLimit: boolean;
  readonly CpuCfsPeriod: boolean;
  readonly CpuCfsQuota: boolean;
  readonly CPUShares: boolean;
  readonly CPUSet: boolean;
  readonly PidsLimit: boolean;
  readonly OomKillDisable: boolean;
  readonly IPv4Forwarding: boolean;
  readonly BridgeNfIptables: boolean;
  readonly BridgeNfIp6tables: boolean;
  readonly Debug: boolean;
  readonly NFd: number;
  readonly NGoroutines: number;
  readonly SystemTime: string;
  readonly LoggingDriver: string;
  readonly CgroupDriver: string;
  readonly CgroupVersion: string;
  readonly NEventsListener: number;
  readonly KernelVersion: string;
  readonly OperatingSystem: string;
  readonly OSVersion: string;
  readonly OSType: string;
  readonly Architecture: string;
  readonly NCPU: number;
  readonly MemTotal: number;
  readonly IndexServerAddress: string;
  readonly RegistryConfig: {
    readonly InsecureRegistryCIDRs: readonly string[];
    readonly IndexConfigs: Readonly<Record<string, unknown>>;
    readonly Mirrors: readonly string[];
  };
  readonly Name: string;
  readonly Labels: readonly string[];
  readonly ExperimentalBuild: boolean;
  readonly ServerVersion: string;
  readonly Runtimes: Readonly<Record<string, { readonly path: string }>>;
  readonly DefaultRuntime: string;
  readonly Swarm: { readonly LocalNodeState: string };
  readonly LiveRestoreEnabled: boolean;
  /** The wall of a workload that asks for none. */
  readonly Isolation: string;
  readonly InitBinary: string;
  readonly SecurityOptions: readonly string[];
  readonly Warnings: readonly string[] | null;
  readonly Hull: HullInfo;
}

/** What Hull adds to Docker's words about the system. */
export interface HullInfo {
  readonly Walls: readonly {
    /** The word for `--isolation`. */
    readonly Isolation: string;
    /** `container`, `vm` or `vm (tcg)`. */
    readonly Label: string;
    /** Why it cannot be used here; empty if it can. */
    readonly Unavailable: string;
    readonly Warning: string;
    readonly SharesKernel: boolean;
  }[];
}

/** GET /system/df */
export interface SystemDiskUsage {
  readonly LayersSize: number;
  readonly Images: readonly ImageSummary[];
  readonly Containers: readonly ContainerSummary[];
  readonly Volumes: readonly Readonly<Record<string, unknown>>[];
  readonly BuildCache: readonly Readonly<Record<string, unknown>>[];
}

/** POST /hull/v1/templates: what is not given is as for a workload that does not give it. */
export interface TemplateBuildRequest {
  /** Bytes. */
  readonly Memory?: number | undefined;
  readonly Cpus?: number | undefined;
  /** Most layers of the images that are to start from it. */
  readonly Layers?: number | undefined;
}

/** GET /hull/v1/templates lists these. */
export interface TemplateSummary {
  /** 64 hexadecimal digits, made of all that decides what is in the template. */
  readonly Id: string;
  readonly State: "ready" | "outdated" | "damaged";
  /** Bytes. */
  readonly Memory: number;
  readonly Cpus: number;
  readonly Layers: number;
  readonly Acceleration: string;
  /** Bytes on the disk. */
  readonly Size: number;
  /** Seconds since the epoch. */
  readonly Created: number;
}

/** GET /hull/v1/doctor */
export interface DoctorReport {
  /** Nothing that Hull cannot do without is missing. */
  readonly healthy: boolean;
  readonly checks: readonly DoctorCheck[];
}

export interface DoctorCheck {
  readonly name: string;
  readonly status: "ok" | "warning" | "missing";
  /** The version or what was seen. */
  readonly found: string;
  /** What it means for the user, in one sentence. */
  readonly meaning: string;
  /** The exact command that mends it; empty when there is nothing to mend. */
  readonly remedy: string;
}
