/** What the engine's parts share: the outside world, the records, and the workloads in memory. */
import type { WallKind } from "../contract/isolation.ts";
import type { Logger } from "../contract/logger.ts";
import type { BuildStore } from "../image/build/build-store.ts";
import type { ImageStore } from "../image/image-store.ts";
import type { WorkloadNetworks } from "../network/room.ts";
import type { VolumeStore } from "../volume/volume-store.ts";
import type { Files } from "../wall/files.ts";
import type { Sandbox, Wall } from "../wall/wall.ts";
import type { Events } from "./events.ts";
import type { Failpoint } from "./failpoint.ts";
import type { Mutex } from "./lock.ts";
import type { Life, State } from "./record.ts";
import type { Records } from "./records.ts";
import type { Workload } from "./workload.ts";
import type { Workloads } from "./workloads.ts";

export interface EngineContext {
  readonly root: string;
  readonly state: string;
  readonly images: ImageStore;
  readonly builds: BuildStore;
  readonly volumes: VolumeStore;
  /** The files of a directory of the host, as a wall gives access to those of a workload. */
  readonly filesOf: (directory: string) => Files;
  /** Held while an image's files are copied into a volume. */
  readonly copyingUp: Mutex;
  readonly walls: Readonly<Record<WallKind, Wall>>;
  readonly networks: WorkloadNetworks;
  readonly records: Records;
  readonly workloads: Workloads;
  readonly events: Events;
  readonly log: Logger;
  readonly failpoint: Failpoint;
  /** Awaits the end of a sandbox that runs, in the background. */
  readonly watch: (workload: Workload, sandbox: Sandbox) => void;
  /** Aborts when the engine closes: what goes on in the background then stops, and records nothing more. */
  readonly closing: AbortSignal;
}

/** Records a state and takes it over. */
export function settle(
  context: EngineContext,
  workload: Workload,
  state: State,
  change: Partial<Life> = {},
): void {
  const life: Life = { ...workload.record.life, ...change };
  context.records.settle(workload.id, state, life);
  workload.become(state, life);
}

/** Emits a container's event with the attributes that Docker's clients look for. */
export function emit(
  context: EngineContext,
  workload: Workload,
  action: string,
  attributes: Readonly<Record<string, string>> = {},
): void {
  const { record } = workload;
  context.events.emit("container", action, record.id, {
    ...record.labels,
    image: record.request.image,
    name: record.name,
    ...attributes,
  });
}
