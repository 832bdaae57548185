/** `commit`: an image made of what a workload has written, on top of its own image. */
import { isHullError } from "../contract/errors.ts";
import { type StageConfig, withHistory } from "../image/build/stage-config.ts";
import type { Image } from "../image/image-store.ts";
import { tagReference } from "../image/import.ts";
import { pauseWorkload, unpauseWorkload } from "./changes.ts";
import { now, rfc3339 } from "./clock.ts";
import { applyInstructions } from "./config-changes.ts";
import { type EngineContext, emit } from "./context.ts";
import { WorkloadFiles } from "./files/workload-files.ts";
import { mergeEnv } from "./plan.ts";
import type { WorkloadRecord } from "./record.ts";
import type { Workload } from "./workload.ts";

export interface CommitRequest {
  /** Empty: the image gets no name. */
  readonly reference: string;
  readonly author: string;
  readonly comment: string;
  /** Dockerfile instructions. */
  readonly changes: readonly string[];
  /** In place of what the workload was created with. */
  readonly config: Partial<StageConfig>;
  /** A running workload stands still while its files are read. */
  readonly pause: boolean;
}

export async function commitWorkload(
  context: EngineContext,
  workload: Workload,
  request: CommitRequest,
): Promise<Image> {
  const { record } = workload;
  const { reference, author, comment } = request;
  const references = reference === "" ? [] : [reference];
  for (const each of references) tagReference(each);
  const image = await context.builds.run(async (session) => {
    const before = session.from({ id: record.image });
    const own = { ...workloadConfig(before.config, record), ...request.config, author };
    const config = applyInstructions(own, request.changes);
    const created = rfc3339(now());
    const layer = await standingStill(context, workload, request.pause, async () => {
      await using files = await WorkloadFiles.open(context, workload, { mounts: false });
      const tar = await files.layerIfAny();
      return tar && (await session.addLayer(tar, `the layer of container ${record.name}`));
    });
    const createdBy = record.spec.process.args.join(" ");
    const line = { created, createdBy, author, comment, emptyLayer: layer === undefined };
    return session.finish(session.next(before, withHistory(config, line), created, layer), references);
  });
  emit(context, workload, "commit", { comment, imageID: image.id, imageRef: reference });
  return image;
}

/** A workload that runs is paused meanwhile, as by a client: a daemon that is killed leaves it so, and recorded so. */
async function standingStill<T>(
  context: EngineContext,
  workload: Workload,
  wanted: boolean,
  work: () => Promise<T>,
): Promise<T> {
  if (!wanted || workload.state !== "running") return await work();
  try {
    await pauseWorkload(context, workload);
  } catch (error) {
    // It has ended in the meantime, or somebody else has paused it.
    if (!isHullError(error, "workloadNotRunning") && !isHullError(error, "workloadRunning")) throw error;
    return await work();
  }
  try {
    return await work();
  } finally {
    if (isPaused(workload)) await unpauseWorkload(context, workload);
  }
}

function isPaused({ state }: Workload): boolean {
  return state === "paused";
}

/** What the workload was created with, which its image's config is the rest of. */
function workloadConfig(image: StageConfig, { request, spec, labels }: WorkloadRecord): StageConfig {
  const command = request.command ?? [];
  const ownCommand = command.length > 0 || request.entrypoint !== undefined;
  return {
    ...image,
    env: mergeEnv(image.env, request.env),
    entrypoint: (request.entrypoint ?? image.entrypoint).filter((word) => word !== ""),
    cmd: ownCommand ? command : image.cmd,
    workingDir: request.workingDirectory === "" ? image.workingDir : request.workingDirectory,
    user: spec.process.user,
    labels,
    exposedPorts: [...new Set([...image.exposedPorts, ...request.exposedPorts])],
    stopSignal: request.stopSignal === "" ? image.stopSignal : request.stopSignal,
    // Triggers are for images that are built upon the workload's image.
    onBuild: [],
  };
}
