/** What is told of containers: inspect, list, top, stats. */
import type { EndpointSettings, HostConfigRequest, PortBinding } from "./container-requests.ts";

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
  /** Its memory is on the disk; for Docker's clients it is paused. */
  readonly Suspended: boolean;
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
