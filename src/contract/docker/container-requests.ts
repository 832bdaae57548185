/** Bodies that make, start and wait for containers. */
import type { Optional } from "./common.ts";

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
  /** `hull.egress.allow`, `hull.ingress.rate` and `hull.egress.rate`: see contract/policy.ts. */
  readonly Annotations?: Optional<Readonly<Record<string, string>>>;
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

/** Every member is sent by the API; clients send any part of them. */
export interface EndpointSettings {
  readonly IPAMConfig?: Optional<Readonly<Record<string, unknown>>>;
  readonly Links?: Optional<readonly string[]>;
  readonly Aliases?: Optional<readonly string[]>;
  readonly MacAddress?: Optional<string>;
  readonly DriverOpts?: Optional<Readonly<Record<string, string>>>;
  /** The endpoint with the highest one is the way out. */
  readonly GwPriority?: Optional<number>;
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
