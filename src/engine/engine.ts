/**
 * The engine: workloads behind either wall, one life cycle for both. This is what the API talks to.
 *
 * `openEngine` puts in order what an earlier daemon left before it resolves.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { HullError } from "../contract/errors.ts";
import type { WallKind } from "../contract/isolation.ts";
import type { Logger } from "../contract/logger.ts";
import { bytesBelow } from "../host/disk-usage.ts";
import type { BuildStore } from "../image/build/build-store.ts";
import type { Image, ImageStore } from "../image/image-store.ts";
import type { WorkloadNetworks } from "../network/room.ts";
import type { VolumeStore } from "../volume/volume-store.ts";
import type { Files } from "../wall/files.ts";
import type {
  Attachment,
  AttachOptions,
  OutputChunk,
  ProcessRow,
  SandboxStats,
  TerminalSize,
  Wall,
} from "../wall/wall.ts";
import { attachWorkload } from "./attach.ts";
import { buildImage } from "./build/build.ts";
import type { BuildOutput, BuildRequest } from "./build/request.ts";
import { changeRestart, pauseWorkload, renameWorkload, unpauseWorkload } from "./changes.ts";
import { type CommitRequest, commitWorkload } from "./commit.ts";
import { type EngineContext, emit } from "./context.ts";
import { killWorkload, removeWorkload, restartWorkload, stopWorkload } from "./ending.ts";
import { Events } from "./events.ts";
import { Execs } from "./execs.ts";
import { watchExit } from "./exit.ts";
import { type Failpoint, noFailpoint } from "./failpoint.ts";
import { WorkloadFiles } from "./files/workload-files.ts";
import { type ForkRequest, forkWorkload } from "./fork.ts";
import { Images } from "./images.ts";
import { createWorkload, requireMoving, startWorkload } from "./life-cycle.ts";
import { requireLinked } from "./links.ts";
import { Mutex } from "./lock.ts";
import { type LogOptions, readLog } from "./logs.ts";
import { moveWorkload } from "./move.ts";
import { Networks } from "./networks.ts";
import { Records } from "./records.ts";
import { recoverWorkloads } from "./recover.ts";
import type { RunRequest } from "./request.ts";
import type { RestartPolicy } from "./restart.ts";
import { resumeWorkload, suspendWorkload } from "./suspend.ts";
import { Volumes } from "./volumes.ts";
import type { WaitCondition, WaitOutcome } from "./waiting.ts";
import type { Workload } from "./workload.ts";
import { Workloads } from "./workloads.ts";

interface EngineOptions {
  readonly root: string;
  readonly state: string;
  readonly images: ImageStore;
  readonly builds: BuildStore;
  readonly volumes: VolumeStore;
  /** The files of a directory of the host, as a wall gives access to those of a workload. */
  readonly filesOf: (directory: string) => Files;
  readonly walls: Readonly<Record<WallKind, Wall>>;
  readonly networks: WorkloadNetworks;
  readonly log: Logger;
  readonly failpoint?: Failpoint;
}

export interface StopOptions {
  /** Seconds; undefined: what the workload was created with; negative: waits for ever. */
  readonly timeout: number | undefined;
  /** In place of the workload's own stop signal. */
  readonly signal?: number | undefined;
}

export async function openEngine(options: EngineOptions): Promise<Engine> {
  await mkdir(join(options.root, "workloads"), { recursive: true, mode: 0o700 });
  await mkdir(join(options.state, "w"), { recursive: true, mode: 0o700 });
  await mkdir(join(options.state, "m"), { recursive: true, mode: 0o700 });
  const closing = new AbortController();
  const context: EngineContext = {
    ...options,
    failpoint: options.failpoint ?? noFailpoint,
    copyingUp: new Mutex(),
    records: new Records(join(options.root, "state.db")),
    workloads: new Workloads(),
    events: new Events(),
    watch: (workload, sandbox) => watchExit(context, workload, sandbox),
    closing: closing.signal,
  };
  options.networks.follow((id) => context.workloads.get(id)?.sandbox?.pid());
  try {
    await recoverWorkloads(context);
  } catch (error) {
    context.records[Symbol.dispose]();
    throw error;
  }
  return new Engine(context, closing);
}

export class Engine implements AsyncDisposable {
  readonly #context: EngineContext;
  readonly #closing: AbortController;
  readonly execs: Execs;
  readonly images: Images;
  readonly volumes: Volumes;
  readonly events: Events;
  readonly networks: Networks;
  readonly walls: Readonly<Record<WallKind, Wall>>;

  constructor(context: EngineContext, closing: AbortController) {
    this.#context = context;
    this.#closing = closing;
    this.execs = new Execs(context);
    this.images = new Images(context);
    this.networks = new Networks(context);
    this.volumes = new Volumes(context);
    this.events = context.events;
    this.walls = context.walls;
  }

  get root(): string {
    return this.#context.root;
  }

  /** By id, name, or the beginning of an id. */
  find(word: string): Workload {
    return this.#context.workloads.find(word);
  }

  list(): Workload[] {
    return this.#context.workloads.visible();
  }

  create(request: RunRequest): Promise<Workload> {
    return createWorkload(this.#context, request);
  }

  /** Builds an image; see build/build.ts. */
  build(request: BuildRequest, output: BuildOutput, signal: AbortSignal): Promise<Image> {
    return buildImage(this.#context, request, output, signal);
  }

  /** What steps of builds left for later ones. */
  get buildCache(): Pick<BuildStore, "usage" | "prune"> {
    return this.#context.builds;
  }

  /** A suspended workload goes on where it was. */
  async start(workload: Workload): Promise<void> {
    if (workload.state === "suspended") return await resumeWorkload(this.#context, workload);
    requireLinked(this.#context, workload);
    await startWorkload(this.#context, workload);
  }

  stop(workload: Workload, options: StopOptions): Promise<void> {
    return stopWorkload(this.#context, workload, options);
  }

  restart(workload: Workload, options: StopOptions): Promise<void> {
    return restartWorkload(this.#context, workload, options);
  }

  kill(workload: Workload, signal: number): Promise<void> {
    return killWorkload(this.#context, workload, signal);
  }

  remove(workload: Workload, options: { force: boolean; volumes?: boolean }): Promise<void> {
    return removeWorkload(this.#context, workload, options);
  }

  pause(workload: Workload): Promise<void> {
    return pauseWorkload(this.#context, workload);
  }

  unpause(workload: Workload): Promise<void> {
    return unpauseWorkload(this.#context, workload);
  }

  suspend(workload: Workload): Promise<void> {
    return suspendWorkload(this.#context, workload);
  }

  resume(workload: Workload): Promise<void> {
    return resumeWorkload(this.#context, workload);
  }

  fork(workload: Workload, request: ForkRequest): Promise<Workload[]> {
    return forkWorkload(this.#context, workload, request);
  }

  changeRestart(workload: Workload, policy: RestartPolicy): Promise<void> {
    return changeRestart(this.#context, workload, policy);
  }

  rename(workload: Workload, name: string): Promise<void> {
    return renameWorkload(this.#context, workload, name);
  }

  /** One that does not run goes behind another wall; `isolation` is the client's word for it. */
  move(workload: Workload, wall: WallKind, isolation: string): Promise<void> {
    return moveWorkload(this.#context, workload, wall, isolation);
  }

  /** Resolves at once when the condition holds already; with undefined when `signal` aborts. */
  async wait(
    workload: Workload,
    condition: WaitCondition,
    signal: AbortSignal,
  ): Promise<WaitOutcome | undefined> {
    const { state } = workload;
    const resting = !workload.live && state !== "starting" && state !== "restarting";
    if (condition === "not-running" && resting) return workload.outcome();
    if (!this.#context.workloads.has(workload.id)) return workload.outcome();
    return await workload.waiting.until(condition, signal);
  }

  /** A workload that does not run yet is attached to at its next start, before its first instruction. */
  attach(workload: Workload, options: AttachOptions): Promise<Attachment> {
    return attachWorkload(this.#context, workload, options);
  }

  /** Makes an image of what a workload has written. */
  commit(workload: Workload, request: CommitRequest): Promise<Image> {
    return commitWorkload(this.#context, workload, request);
  }

  /** To be disposed of: a workload that does not run is locked until then. */
  files(workload: Workload, options: { readonly mounts: boolean }): Promise<WorkloadFiles> {
    return WorkloadFiles.open(this.#context, workload, options);
  }

  logs(
    workload: Workload,
    options: Omit<LogOptions, "follow"> & { follow: boolean },
    signal: AbortSignal,
  ): AsyncGenerator<OutputChunk> {
    const follow = options.follow && workload.live ? workload.ended : undefined;
    return readLog(workload.record.spec.logPath, { ...options, follow }, signal);
  }

  async resize(workload: Workload, size: TerminalSize): Promise<void> {
    await this.#running(workload).resize(size);
    emit(this.#context, workload, "resize", { height: String(size.rows), width: String(size.columns) });
  }

  async processes(workload: Workload): Promise<ProcessRow[]> {
    emit(this.#context, workload, "top");
    return await this.#running(workload).processes();
  }

  /** Undefined for a workload that does not run. */
  async stats(workload: Workload): Promise<SandboxStats | undefined> {
    if (!workload.live) return undefined;
    try {
      return await workload.sandbox?.stats();
    } catch (error) {
      if (workload.live) throw error;
      return undefined;
    }
  }

  /** Bytes on disk of what the workload wrote. */
  async layerBytes(workload: Workload): Promise<number> {
    return await bytesBelow(workload.record.spec.directory, new Set([workload.record.spec.logPath]));
  }

  /** Lets go of all workloads; they go on. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    this.#context.records[Symbol.dispose]();
  }

  #running(workload: Workload) {
    const { sandbox } = workload;
    if (workload.state === "suspended") requireMoving(workload);
    if (!workload.live || sandbox === undefined)
      throw new HullError("workloadNotRunning", { name: workload.record.name });
    return sandbox;
  }
}
