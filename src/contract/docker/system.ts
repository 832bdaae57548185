/** Version, info, events, disk usage; and Hull's own: templates and the doctor. */

import type { BuildCacheItem } from "./build.ts";
import type { ContainerSummary } from "./containers.ts";
import type { ImageSummary } from "./images.ts";
import type { VolumeWithUsage } from "./volumes.ts";

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
  readonly HttpProxy: string;
  readonly HttpsProxy: string;
  readonly NoProxy: string;
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
  readonly Volumes: readonly VolumeWithUsage[];
  readonly BuildCache: readonly BuildCacheItem[];
}

/** POST /hull/v1/containers/{id}/fork */
export interface ForkRequest {
  /** How many siblings; 1 when not given. */
  readonly Count?: number | undefined;
  /** What the sibling is called; of several, what their names begin with. */
  readonly Name?: string | undefined;
}

/** The answer: one for each sibling. */
export interface ForkedContainer {
  readonly Id: string;
  readonly Name: string;
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
