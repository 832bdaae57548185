/**
 * Schemas of the answers that callers act on, as far as they are read: the rest of an answer passes through
 * unchanged. Loaded on first use.
 */

import * as v from "valibot";
import { dictionary } from "../contract/dictionary.ts";
import type { BuildLine, BuildPruneReport } from "../contract/docker/build.ts";
import type { ContainerPathStat, FilesystemChange } from "../contract/docker/files.ts";
import type { ContainerPruneReport, ImagePruneReport } from "../contract/docker/prune.ts";
import type { VerifyLine } from "../contract/docker/verify.ts";
import type {
  ContainerInspect,
  ContainerStats,
  ContainerSummary,
  ContainerTop,
  DistributionInspect,
  DoctorReport,
  EventMessage,
  ForkedContainer,
  ImageDeleteItem,
  ImageHistoryItem,
  ImageInspect,
  ImageSummary,
  LoginAnswer,
  NetworkCreateResponse,
  NetworkPruneReport,
  NetworkResource,
  ProgressLine,
  SystemDiskUsage,
  SystemInfo,
  SystemVersion,
  TemplateSummary,
  VolumePruneResponse,
  VolumeView,
} from "../contract/docker.ts";
import { ProtocolError } from "./api-error.ts";

const strings = v.array(v.string());
const labels = v.nullish(dictionary(v.string()));

const template = v.looseObject({
  Id: v.string(),
  State: v.picklist(["ready", "outdated", "damaged"]),
  Memory: v.number(),
  Cpus: v.number(),
  Layers: v.number(),
  Acceleration: v.string(),
  Size: v.number(),
  Created: v.number(),
});

const network = v.looseObject({
  Name: v.string(),
  Id: v.string(),
  Created: v.string(),
  Scope: v.string(),
  Driver: v.string(),
  EnableIPv6: v.boolean(),
  Internal: v.boolean(),
  Labels: labels,
});

const volume = v.looseObject({
  Name: v.string(),
  Driver: v.string(),
  Mountpoint: v.string(),
  CreatedAt: v.string(),
  Labels: labels,
  Options: labels,
  Scope: v.string(),
});

const containerState = v.looseObject({
  Status: v.string(),
  Running: v.boolean(),
  ExitCode: v.number(),
  StartedAt: v.string(),
  FinishedAt: v.string(),
});

const containerSummary = v.looseObject({
  Id: v.string(),
  Names: strings,
  Image: v.string(),
  Command: v.string(),
  Created: v.number(),
  State: v.string(),
  Status: v.string(),
  Labels: labels,
});

const imageSummary = v.looseObject({
  Id: v.string(),
  RepoTags: v.nullish(strings),
  RepoDigests: v.nullish(strings),
  Created: v.number(),
  Size: v.number(),
});

const cpuStats = v.looseObject({
  cpu_usage: v.looseObject({ total_usage: v.number() }),
  system_cpu_usage: v.optional(v.number()),
  online_cpus: v.optional(v.number()),
});

const schemas = {
  login: v.looseObject({ Status: v.string(), IdentityToken: v.optional(v.string()) }),
  distribution: v.looseObject({
    Descriptor: v.looseObject({ mediaType: v.string(), digest: v.string(), size: v.number() }),
    Platforms: v.array(v.looseObject({ os: v.string(), architecture: v.string() })),
  }),
  containerInspect: v.looseObject({
    Id: v.string(),
    Name: v.string(),
    State: containerState,
    Config: v.looseObject({
      Tty: v.boolean(),
      OpenStdin: v.boolean(),
    }),
    HostConfig: v.looseObject({ AutoRemove: v.boolean() }),
  }),
  containerList: v.array(containerSummary),
  containerTop: v.looseObject({ Titles: strings, Processes: v.nullable(v.array(strings)) }),
  containerStats: v.looseObject({
    read: v.string(),
    cpu_stats: cpuStats,
    precpu_stats: v.looseObject({ cpu_usage: v.optional(v.looseObject({ total_usage: v.number() })) }),
    memory_stats: v.looseObject({ usage: v.optional(v.number()), limit: v.optional(v.number()) }),
    pids_stats: v.looseObject({ current: v.optional(v.number()) }),
  }),
  imageList: v.array(imageSummary),
  imageInspect: v.looseObject({ Id: v.string(), Size: v.number(), Os: v.string(), Architecture: v.string() }),
  imageHistory: v.array(
    v.looseObject({
      Id: v.string(),
      Created: v.number(),
      CreatedBy: v.string(),
      Size: v.number(),
      Comment: v.string(),
    }),
  ),
  imageDelete: v.array(v.looseObject({ Untagged: v.optional(v.string()), Deleted: v.optional(v.string()) })),
  progressLine: v.looseObject({
    stream: v.optional(v.string()),
    status: v.optional(v.string()),
    id: v.optional(v.string()),
    error: v.optional(v.string()),
    progressDetail: v.nullish(
      v.looseObject({ current: v.optional(v.number()), total: v.optional(v.number()) }),
    ),
  }),
  buildLine: v.looseObject({
    stream: v.optional(v.string()),
    status: v.optional(v.string()),
    id: v.optional(v.string()),
    error: v.optional(v.string()),
    errorDetail: v.optional(v.looseObject({ code: v.optional(v.number()) })),
    aux: v.optional(dictionary(v.unknown())),
  }),
  buildPrune: v.looseObject({ CachesDeleted: v.nullish(v.array(v.string())), SpaceReclaimed: v.number() }),
  event: v.looseObject({
    Type: v.string(),
    Action: v.string(),
    Actor: v.looseObject({ ID: v.string(), Attributes: v.nullish(dictionary(v.string())) }),
    time: v.number(),
    timeNano: v.number(),
  }),
  version: v.looseObject({
    Version: v.string(),
    ApiVersion: v.string(),
    Os: v.string(),
    Arch: v.string(),
    KernelVersion: v.optional(v.string()),
  }),
  info: v.looseObject({
    ServerVersion: v.string(),
    Containers: v.number(),
    Images: v.number(),
    NCPU: v.number(),
    MemTotal: v.number(),
  }),
  diskUsage: v.looseObject({
    LayersSize: v.number(),
    Images: v.nullish(v.array(imageSummary)),
    Containers: v.nullish(v.array(containerSummary)),
    Volumes: v.nullish(
      v.array(
        v.looseObject({ Name: v.string(), UsageData: v.object({ Size: v.number(), RefCount: v.number() }) }),
      ),
    ),
    BuildCache: v.nullish(
      v.array(
        v.looseObject({ ID: v.string(), Description: v.string(), Size: v.number(), Shared: v.boolean() }),
      ),
    ),
  }),
  forked: v.array(v.object({ Id: v.string(), Name: v.string() })),
  imagePrune: v.looseObject({
    ImagesDeleted: v.nullish(
      v.array(v.looseObject({ Untagged: v.optional(v.string()), Deleted: v.optional(v.string()) })),
    ),
    SpaceReclaimed: v.number(),
  }),
  containerPrune: v.looseObject({
    ContainersDeleted: v.nullish(v.array(v.string())),
    SpaceReclaimed: v.number(),
  }),
  verifyLine: v.looseObject({
    Damaged: v.optional(
      v.object({
        Kind: v.picklist(["blob", "layer"]),
        Digest: v.string(),
        Images: v.array(v.string()),
        Damage: v.string(),
        Repaired: v.boolean(),
        Note: v.string(),
      }),
    ),
    Done: v.optional(v.object({ Whole: v.boolean(), Blobs: v.number(), Layers: v.number() })),
    Error: v.optional(v.string()),
  }),
  pathStat: v.object({
    name: v.string(),
    size: v.number(),
    mode: v.number(),
    mtime: v.string(),
    linkTarget: v.string(),
  }),
  fileChanges: v.array(v.object({ Path: v.string(), Kind: v.picklist([0, 1, 2]) })),
  network,
  networks: v.array(network),
  networkCreated: v.looseObject({ Id: v.string(), Warning: v.string() }),
  networksPruned: v.looseObject({ NetworksDeleted: v.nullish(strings) }),
  template,
  templates: v.array(template),
  volume,
  volumeList: v.looseObject({ Volumes: v.nullish(v.array(volume)) }),
  volumePrune: v.looseObject({ VolumesDeleted: v.nullish(strings), SpaceReclaimed: v.number() }),
  doctor: v.looseObject({
    healthy: v.boolean(),
    checks: v.array(
      v.object({
        name: v.string(),
        status: v.picklist(["ok", "warning", "missing"]),
        found: v.string(),
        meaning: v.string(),
        remedy: v.string(),
      }),
    ),
  }),
};

interface Answers {
  login: LoginAnswer;
  distribution: DistributionInspect;
  containerInspect: ContainerInspect;
  containerList: ContainerSummary[];
  containerTop: ContainerTop;
  containerStats: ContainerStats;
  imageList: ImageSummary[];
  imageInspect: ImageInspect;
  imageHistory: ImageHistoryItem[];
  imageDelete: ImageDeleteItem[];
  progressLine: ProgressLine;
  buildLine: BuildLine;
  buildPrune: BuildPruneReport;
  event: EventMessage;
  version: SystemVersion;
  info: SystemInfo;
  diskUsage: SystemDiskUsage;
  forked: ForkedContainer[];
  imagePrune: ImagePruneReport;
  containerPrune: ContainerPruneReport;
  verifyLine: VerifyLine;
  pathStat: ContainerPathStat;
  fileChanges: FilesystemChange[];
  network: NetworkResource;
  networks: NetworkResource[];
  networkCreated: NetworkCreateResponse;
  networksPruned: NetworkPruneReport;
  template: TemplateSummary;
  templates: TemplateSummary[];
  volume: VolumeView;
  volumeList: { readonly Volumes: VolumeView[] | null };
  volumePrune: VolumePruneResponse;
  doctor: DoctorReport;
}

export type AnswerName = keyof Answers;

export function checkAnswer<Name extends AnswerName>(name: Name, value: unknown): Answers[Name] {
  const schema: v.GenericSchema = schemas[name];
  const result = v.safeParse(schema, value);
  if (!result.success) {
    const [issue] = result.issues;
    const where = v.getDotPath(issue) ?? "";
    throw new ProtocolError(`the daemon's answer (${name}) is not of the API: ${where} ${issue.message}`);
  }
  // The schema has seen what callers act on; the members it does not name are passed on as the API describes them.
  return value as Answers[Name];
}
