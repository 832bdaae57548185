/**
 * How a workload comes into being, starts, and goes. The functions named `…Locked` expect the workload's lock
 * to be held; the others take it.
 */
import { hostname } from "node:os";
import { type ErrorCode, HullError, isHullError, messageOf } from "../contract/errors.ts";
import type { Image } from "../image/image-store.ts";
import { now } from "./clock.ts";
import { type EngineContext, settle } from "./context.ts";
import { execute } from "./execute.ts";
import { checkLinks } from "./links.ts";
import { requireSource } from "./mounts/hold-mounts.ts";
import type { WorkloadMount } from "./mounts/mount-request.ts";
import { resolveMounts } from "./mounts/resolve-mounts.ts";
import { newId, parseName, randomName } from "./names.ts";
import { performCreate, performOn } from "./perform.ts";
import { mountPlaces, planCreate, planRemove, planStart } from "./plan.ts";
import type { RunRequest } from "./request.ts";
import { clearSandbox } from "./resting.ts";
import type { Workload } from "./workload.ts";

/** `from`: the image, when it is not to be looked up by the request's reference. */
export async function createWorkload(
  context: EngineContext,
  request: RunRequest,
  from?: Image,
): Promise<Workload> {
  const name = request.name === undefined ? undefined : parseName(request.name);
  const { unavailable } = await context.walls[request.wall].features();
  if (unavailable !== undefined)
    throw new HullError("unsupported", {
      what: `the ${request.wall} wall`,
      where: " here",
      why: unavailable,
    });
  for (const mount of request.mounts) if (mount.type === "bind") await requireSource(mount, request.wall);
  // After all that waits: an image that was looked up before might be removed meanwhile.
  const image = from ?? (await context.images.resolve(request.image));
  if (image.artifactType !== undefined)
    throw new HullError("unsupported", {
      what: `running ${request.image}`,
      where: "",
      why: `it is no container image but an artifact of type ${image.artifactType}`,
    });
  checkLinks(context, request);
  const wanted = withJoined(context, request);
  for (let attempt = 0; ; attempt++) {
    const prepared = preparedFor(context, request, image);
    const facts = {
      id: prepared?.id ?? newId(),
      name: name ?? randomName(attempt),
      now: now(),
      root: context.root,
      state: context.state,
    };
    const mounts = mountsOf(context, request, image, facts.id);
    let made: Workload | undefined;
    const perform = performCreate(context, (workload) => {
      made = workload;
      workload.preparedNamespace = prepared?.namespace;
    });
    try {
      await execute(planCreate(wanted, image, { ...facts, mounts }), perform, context);
    } catch (error) {
      // Its name was taken, mostly.
      if (made === undefined) prepared?.giveBack();
      if (name === undefined && isHullError(error, "nameInUse") && attempt < 20) continue;
      throw error;
    }
    if (made === undefined) throw new HullError("internal", { what: "a plan made no workload" });
    return made;
  }
}

/** Whose network it joins is known by id from now on, and has its host name. */
function withJoined(context: EngineContext, request: RunRequest): RunRequest {
  const { mode } = request.network;
  if (mode === "host" && request.hostname === "") return { ...request, hostname: hostname() };
  if (!mode.startsWith("container:")) return request;
  const target = context.workloads.find(mode.slice("container:".length));
  return {
    ...request,
    hostname: target.record.spec.hostname,
    network: { ...request.network, mode: `container:${target.id}` },
  };
}

/** A build's step writes to the image's own directories: there is nothing that a volume would have to outlive. */
function mountsOf(context: EngineContext, request: RunRequest, image: Image, id: string): WorkloadMount[] {
  return resolveMounts(request.mounts, request.volumesFrom, {
    imageVolumes: request.ofBuild ? [] : image.config.volumes,
    mountsOf: (workload) => context.workloads.find(workload).record.mounts,
    directoryOf: (volume) => context.volumes.directoryOf(volume),
    places: mountPlaces(context.state, id),
  });
}

function preparedFor({ walls }: EngineContext, request: RunRequest, image: Image) {
  // What is mounted has to be there when a sandbox is prepared.
  if (request.mounts.length + request.volumesFrom.length > 0) return undefined;
  if (!request.ofBuild && image.config.volumes.length > 0) return undefined;
  const { wall, memoryBytes, nanoCpus, pidsLimit } = request;
  const resources = { memoryBytes, cpus: nanoCpus / 1e9, pids: pidsLimit };
  const layers = image.layers.map(({ path }) => path);
  return walls[wall].prepared?.(resources, layers);
}

export async function startWorkload(context: EngineContext, workload: Workload): Promise<void> {
  using _lock = await workload.lock.acquire();
  if (workload.live) throw new HullError("notModified", { what: "the container is running already" });
  await startLocked(context, workload);
}

export async function startLocked(context: EngineContext, workload: Workload): Promise<void> {
  const { record } = workload;
  requirePresent(workload);
  workload.restartPause?.abort();
  workload.restartPause = undefined;
  if (record.life.sandbox) await clearSandbox(context, workload);
  try {
    await execute(planStart(record), (step) => performOn(context, workload, step), context);
  } catch (error) {
    await startFailed(context, workload, error);
    throw error;
  }
}

async function startFailed(context: EngineContext, workload: Workload, error: unknown): Promise<void> {
  const rest = workload.record.life.startedAt === undefined ? "created" : "exited";
  settle(context, workload, rest, { exitCode: exitCodeOf(error), error: messageOf(error), lost: false });
  workload.releaseHeld();
  workload.waiting.settle("not-running", workload.outcome());
  if (!workload.record.request.autoRemove) return;
  try {
    await removeLocked(context, workload);
  } catch (removeError) {
    context.log.error("could not remove a workload that did not start", {
      id: workload.id,
      why: messageOf(removeError),
    });
  }
}

const exitCodes: Partial<Record<ErrorCode, number>> = {
  commandNotFound: 127,
  commandNotExecutable: 126,
  workingDirectoryInvalid: 126,
  noSuchUser: 126,
};

/** The exit code that shells and Docker give a program that could not be executed. */
export function exitCodeOf(error: unknown): number {
  return (isHullError(error) ? exitCodes[error.code] : undefined) ?? 128;
}

/** Throws for a workload that stands still, and so can answer nothing. */
export function requireMoving({ state, record: { name } }: Workload): void {
  if (state === "paused") throw new HullError("workloadPaused", { name });
  if (state === "suspended") throw new HullError("workloadSuspended", { name });
}

export function requirePresent(workload: Workload): void {
  const { state, record } = workload;
  if (state === "removing" || state === "dead")
    throw new HullError("workloadRunning", {
      name: record.name,
      state: state === "dead" ? "dead" : "being removed",
      why: "it can only be removed",
    });
}

/** Takes everything of the workload away. What fails half-way leaves a `dead` workload that can be removed again. */
export async function removeLocked(
  context: EngineContext,
  workload: Workload,
  options: { volumes: boolean } = { volumes: workload.record.request.autoRemove },
): Promise<void> {
  try {
    await execute(
      planRemove(workload.record, options),
      (step) => performOn(context, workload, step),
      context,
    );
  } catch (error) {
    const why = messageOf(error);
    if (context.workloads.has(workload.id)) settle(context, workload, "dead", { error: why });
    // `run --rm` waits for the removal: it is told that there is none.
    workload.waiting.settle("removed", {
      ...workload.outcome(),
      error: `the container was not removed: ${why}`,
    });
    throw error;
  }
}
