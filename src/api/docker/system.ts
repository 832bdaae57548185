/** GET and HEAD /_ping, GET /version, GET /info, GET /system/df */
import { existsSync, readFileSync } from "node:fs";
import { cpus, hostname, release } from "node:os";
import {
  apiVersion,
  type ContainerSummary,
  minimumApiVersion,
  type SystemDiskUsage,
  type SystemInfo,
  type SystemVersion,
} from "../../contract/docker.ts";
import { HullError } from "../../contract/errors.ts";
import { now, rfc3339 } from "../../engine/clock.ts";
import type { Engine } from "../../engine/engine.ts";
import type { Image } from "../../image/image-store.ts";
import { defaultRegistrySettings, type RegistrySettings } from "../../image/registry/settings.ts";
import type { Wall } from "../../wall/wall.ts";
import type { Exchange } from "../exchange.ts";
import type { Route } from "../server.ts";
import { buildCacheItems } from "./build.ts";
import { hostMemoryBytes } from "./container-stats.ts";
import { storageDriver, summaryOf } from "./container-views.ts";
import { hostArchitecture } from "./create-request.ts";
import { summariesOf } from "./image-list.ts";
import { wallLabels } from "./labels.ts";
import { registryInfo } from "./registry-info.ts";
import { volumeWithUsage } from "./volumes.ts";

export interface SystemFacts {
  readonly version: string;
  /** A name for this daemon that stays the same. */
  readonly id: string;
  /** How registries are reached, if not by default. */
  readonly registries?: RegistrySettings;
}

export function systemRoutes(engine: Engine, facts: SystemFacts): Route[] {
  return [
    { method: "GET", path: "/_ping", handle: ping },
    { method: "HEAD", path: "/_ping", handle: ping },
    { method: "GET", path: "/version", handle: (exchange) => exchange.sendJson(200, version(facts)) },
    {
      method: "GET",
      path: "/info",
      handle: async (exchange) => exchange.sendJson(200, await info(engine, facts)),
    },
    { method: "GET", path: "/system/df", handle: (exchange) => diskUsage(engine, exchange) },
  ];
}

/** Sent with every answer; clients negotiate the version with it. */
export function commonHeaders(facts: SystemFacts): Readonly<Record<string, string>> {
  return {
    "Api-Version": apiVersion,
    // The classic builder: clients that could speak BuildKit's protocol do not try.
    "Builder-Version": "1",
    "Docker-Experimental": "false",
    Ostype: "linux",
    Server: `Hull/${facts.version} (linux)`,
    "Cache-Control": "no-cache, no-store, must-revalidate",
    Pragma: "no-cache",
  };
}

function ping(exchange: Exchange): void {
  exchange.sendText(200, exchange.request.method === "HEAD" ? "" : "OK");
}

function version(facts: SystemFacts): SystemVersion {
  const common = {
    ApiVersion: apiVersion,
    MinAPIVersion: minimumApiVersion,
    GitCommit: "",
    GoVersion: `bun${Bun.version}`,
    Os: "linux",
    Arch: hostArchitecture,
    KernelVersion: release(),
    BuildTime: "",
  };
  return {
    Platform: { Name: "Hull" },
    Components: [{ Name: "Engine", Version: facts.version, Details: { ...common, Experimental: "false" } }],
    Version: facts.version,
    ...common,
  };
}

async function info(engine: Engine, facts: SystemFacts): Promise<SystemInfo> {
  const workloads = engine.list();
  const soFar = (wall: Wall) => wall.featuresSoFar?.() ?? wall.features();
  const [images, unconnected, container, vm] = await Promise.all([
    engine.images.list(),
    engine.networks.unavailable(),
    soFar(engine.walls.container),
    soFar(engine.walls.vm),
  ]);
  const walls = { container, vm };
  const running = workloads.filter((workload) => workload.state === "running").length;
  const paused = workloads.filter((workload) => ["paused", "suspended"].includes(workload.state)).length;
  const cgroup2 = existsSync("/sys/fs/cgroup/cgroup.controllers");
  return {
    ID: facts.id,
    Containers: workloads.length,
    ContainersRunning: running,
    ContainersPaused: paused,
    ContainersStopped: workloads.length - running - paused,
    Images: images.length,
    Driver: storageDriver,
    DriverStatus: [],
    DockerRootDir: engine.root,
    Plugins: {
      Volume: ["local"],
      Network: ["bridge", "host", "null"],
      Authorization: null,
      Log: ["json-file"],
    },
    MemoryLimit: true,
    SwapLimit: false,
    CpuCfsPeriod: true,
    CpuCfsQuota: true,
    CPUShares: false,
    CPUSet: false,
    PidsLimit: true,
    OomKillDisable: false,
    IPv4Forwarding: unconnected === undefined,
    BridgeNfIptables: false,
    BridgeNfIp6tables: false,
    Debug: false,
    NFd: 0,
    NGoroutines: 0,
    SystemTime: rfc3339(now()),
    LoggingDriver: "json-file",
    CgroupDriver: "cgroupfs",
    CgroupVersion: cgroup2 ? "2" : "1",
    NEventsListener: 0,
    KernelVersion: release(),
    OperatingSystem: osRelease("PRETTY_NAME"),
    OSVersion: osRelease("VERSION_ID"),
    OSType: "linux",
    Architecture: process.arch === "x64" ? "x86_64" : process.arch === "arm64" ? "aarch64" : process.arch,
    NCPU: cpus().length,
    MemTotal: hostMemoryBytes(),
    ...registryInfo(facts.registries ?? defaultRegistrySettings),
    Name: hostname(),
    Labels: [],
    ExperimentalBuild: false,
    ServerVersion: facts.version,
    Runtimes: { container: { path: "crun" }, vm: { path: "qemu" } },
    DefaultRuntime: "container",
    Swarm: { LocalNodeState: "inactive" },
    LiveRestoreEnabled: true,
    Isolation: "container",
    InitBinary: "",
    SecurityOptions: ["name=seccomp,profile=default"],
    Warnings: [
      ...(unconnected === undefined
        ? []
        : [`workloads get a loopback interface only, and are not connected to networks: ${unconnected}`]),
      ...Object.values(walls).flatMap((features) =>
        [features.unavailable ?? [], features.warning ?? []].flat(),
      ),
    ],
    Hull: {
      Walls: Object.entries(walls).map(([isolation, features]) => ({
        Isolation: isolation,
        Label: features.label,
        Unavailable: features.unavailable ?? "",
        Warning: features.warning ?? "",
        SharesKernel: features.sharesKernel,
      })),
    },
  };
}

function osRelease(name: string): string {
  const path = ["/etc/os-release", "/usr/lib/os-release"].find((candidate) => existsSync(candidate));
  if (path === undefined) return "";
  const line = readFileSync(path, "utf8")
    .split("\n")
    .find((one) => one.startsWith(`${name}=`));
  return line?.slice(name.length + 1).replaceAll('"', "") ?? "";
}

const usageTypes = ["container", "image", "volume", "build-cache"] as const;
type UsageType = (typeof usageTypes)[number];

/** Parts that `type` does not name are not counted, and null. */
async function diskUsage(engine: Engine, exchange: Exchange): Promise<void> {
  const asked = exchange.query.getAll("type");
  const unknown = asked.find((type) => !usageTypes.some((known) => known === type));
  if (unknown !== undefined)
    throw new HullError("invalidParameter", {
      what: "type",
      value: unknown,
      why: `use one of ${usageTypes.join(", ")}`,
    });
  const part = async <T>(type: UsageType, count: () => Promise<T>): Promise<T | null> =>
    asked.length === 0 || asked.includes(type) ? await count() : null;
  const images = await engine.images.list();
  const [ofImages, Containers, BuildCache, Volumes] = await Promise.all([
    part("image", async () => {
      const usage = await engine.images.usage();
      return { bytes: usage.totalBytes, summaries: summariesOf(engine, images, usage) };
    }),
    part("container", () => containersWithSizes(engine, images)),
    part("build-cache", async () => buildCacheItems(await engine.buildCache.usage())),
    part("volume", () => Promise.all(engine.volumes.list().map((volume) => volumeWithUsage(engine, volume)))),
  ]);
  const answer: { [Name in keyof SystemDiskUsage]: SystemDiskUsage[Name] | null } = {
    LayersSize: ofImages?.bytes ?? 0,
    Images: ofImages?.summaries ?? null,
    Containers,
    BuildCache,
    Volumes,
  };
  exchange.sendJson(200, answer);
}

async function containersWithSizes(engine: Engine, images: readonly Image[]): Promise<ContainerSummary[]> {
  const workloads = engine.list();
  const labelOf = await wallLabels(engine, workloads);
  const sizes = new Map(images.map((image) => [image.id, image.sizeBytes]));
  return await Promise.all(
    workloads.map(async (workload) => {
      const writable = await engine.layerBytes(workload);
      const all = writable + (sizes.get(workload.record.image) ?? 0);
      return summaryOf(engine, workload, { label: labelOf(workload), sizes: { writable, all } }, now());
    }),
  );
}
