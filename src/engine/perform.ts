/** What each step of a plan does, and how it is undone. */
import { mkdir, rm, writeFile } from "node:fs/promises";
import { HullError, messageOf } from "../contract/errors.ts";
import type { SandboxSpec } from "../wall/wall.ts";
import { now } from "./clock.ts";
import { type EngineContext, emit, settle } from "./context.ts";
import type { PerformStep, Undo } from "./execute.ts";
import { withLinks } from "./links.ts";
import { holdMounts, removeAnonymousVolumes, removeUnused } from "./mounts/hold-mounts.ts";
import { withLimitsOfHost } from "./mounts/host-limits.ts";
import { emitConnections } from "./network-events.ts";
import type { Step } from "./plan.ts";
import { releaseMounts, removeSandbox } from "./resting.ts";
import { Workload } from "./workload.ts";

/** Performs the steps of a workload's creation; the first one brings the workload into being. */
export function performCreate(context: EngineContext, created: (workload: Workload) => void): PerformStep {
  let made: Workload | undefined;
  return async (step) => {
    if (step.do === "record") {
      const workload = new Workload(step.record);
      context.records.insert(step.record);
      context.workloads.add(workload);
      made = workload;
      created(workload);
      return () => {
        context.workloads.delete(workload.id);
        context.records.forget(workload.id);
      };
    }
    if (made === undefined)
      throw new HullError("internal", { what: `step ${step.name} came before the record` });
    return await performOn(context, made, step);
  };
}

export async function performOn(
  context: EngineContext,
  workload: Workload,
  step: Step,
): Promise<Undo | undefined> {
  switch (step.do) {
    case "record":
      throw new HullError("internal", { what: "a workload is recorded once" });
    case "lease-image": {
      const lease = context.images.lease(workload.record.image);
      workload.lease = lease;
      return () => lease[Symbol.dispose]();
    }
    case "make-volumes":
      return await makeVolumes(context, workload);
    case "hold-mounts": {
      workload.heldMounts = await holdMounts(context, workload.record);
      return () => releaseMounts(workload);
    }
    case "make-directory":
      await makeDirectory(step.path, step.log);
      return () => rm(step.path, { recursive: true, force: true });
    case "settle-created":
      settle(context, workload, "created");
      emit(context, workload, "create");
      return () => emit(context, workload, "destroy");
    case "settle-starting":
      return settleStarting(context, workload);
    case "register-network":
      context.networks.register(step.registration);
      return () => context.networks.unregister(workload.id);
    case "attach-network":
      return await attachNetwork(context, workload);
    case "create-sandbox":
      return await createSandbox(context, workload);
    case "connect-attachments":
      return await connectAttachments(workload);
    case "start-sandbox":
      await startSandbox(workload);
      return undefined;
    case "settle-running":
      return settleRunning(context, workload);
    case "settle-removing":
      settle(context, workload, "removing", step.volumes ? { removingVolumes: true } : {});
      return undefined;
    case "remove-sandbox":
      await removeSandbox(context, workload, { discard: true });
      return undefined;
    case "remove-directory":
      await rm(step.path, { recursive: true, force: true });
      return undefined;
    case "remove-volumes":
      await removeAnonymousVolumes(context, workload.record);
      return undefined;
    case "forget":
      forget(context, workload);
      return undefined;
  }
}

/** Undone by removing those that were not there before, unless others have come to use them. */
async function makeVolumes(context: EngineContext, { record }: Workload): Promise<Undo> {
  const made: string[] = [];
  const undo = (): Promise<void> => removeUnused(context, record.id, made);
  try {
    for (const { type, source, anonymous, volume } of record.mounts) {
      if (type !== "volume") continue;
      const created = context.volumes.create({ ...volume, name: source, anonymous });
      if (!created.made) continue;
      made.push(source);
      context.events.emit("volume", "create", source, { driver: "local" });
    }
  } catch (error) {
    await undo();
    throw error;
  }
  return undo;
}

/** The log is made with the directory, so that whoever follows it from the start has something to watch. */
async function makeDirectory(path: string, log: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
    await writeFile(log, "", { flag: "a", mode: 0o600 });
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "ENOSPC" || code === "EDQUOT")
      throw new HullError("noSpace", { what: "the writable layer", path }, { cause: error });
    throw new HullError("notWritable", { path, why: messageOf(error) }, { cause: error });
  }
}

function settleStarting(context: EngineContext, workload: Workload): Undo {
  const { state } = workload;
  const before = state === "exited" || state === "restarting" ? state : "created";
  settle(context, workload, "starting", { before, sandbox: true, error: "" });
  return () =>
    settle(context, workload, before, { before: undefined, sandbox: workload.sandbox !== undefined });
}

export async function attachNetwork(context: EngineContext, workload: Workload): Promise<Undo> {
  const prepared = workload.preparedNamespace;
  workload.preparedNamespace = undefined;
  workload.connection = await context.networks.attach(workload.id, prepared?.());
  emitConnections(context, workload, "connect");
  return async () => {
    releaseConnection(workload);
    emitConnections(context, workload, "disconnect");
    await context.networks.detach(workload.id);
  };
}

/** From now on the sandbox's own processes hold the namespace. */
export function releaseConnection(workload: Workload): void {
  workload.connection?.[Symbol.dispose]();
  workload.connection = undefined;
}

/** With the connection that has been made for this start. */
export function specOf({ record, connection }: Workload): SandboxSpec {
  return connection === undefined ? record.spec : { ...record.spec, network: connection };
}

async function createSandbox(context: EngineContext, workload: Workload): Promise<Undo> {
  const { record } = workload;
  const spec = specOf(workload);
  const linked = {
    ...spec,
    process: withLinks(context, workload, spec.process),
    ...(spec.mounts === undefined ? {} : { mounts: await withLimitsOfHost(spec.mounts) }),
  };
  const sandbox = await named(workload, context.walls[record.wall].create(linked));
  releaseConnection(workload);
  workload.sandbox = sandbox;
  return async () => {
    await sandbox.remove();
    workload.sandbox = undefined;
  };
}

async function connectAttachments(workload: Workload): Promise<Undo> {
  const { sandbox } = workload;
  if (sandbox === undefined) throw new HullError("internal", { what: "there is no sandbox to attach to" });
  const held = [...workload.held];
  workload.held.clear();
  for (const attachment of held) await attachment.connect(sandbox);
  return () => {
    for (const attachment of held) attachment.detach();
  };
}

async function startSandbox(workload: Workload): Promise<void> {
  if (workload.sandbox === undefined)
    throw new HullError("internal", { what: "there is no sandbox to start" });
  await named(workload, workload.sandbox.start());
}

/** Errors of a wall that are not in the table become ones that say which workload could not start. */
async function named<T>(workload: Workload, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof HullError) throw error;
    const { wall, name } = workload.record;
    throw new HullError("startFailed", { wall, name, why: messageOf(error) }, { cause: error });
  }
}

function settleRunning(context: EngineContext, workload: Workload): Undo | undefined {
  settle(context, workload, "running", {
    before: undefined,
    startedAt: now(),
    finishedAt: undefined,
    exitCode: 0,
    oomKilled: false,
    error: "",
    lost: false,
    stoppedByUser: false,
  });
  workload.stopping = false;
  workload.leaving = false;
  emit(context, workload, "start");
  if (workload.sandbox !== undefined) context.watch(workload, workload.sandbox);
  return undefined;
}

function forget(context: EngineContext, workload: Workload): void {
  context.networks.unregister(workload.id);
  context.records.forget(workload.id);
  context.workloads.delete(workload.id);
  workload.lease?.[Symbol.dispose]();
  workload.lease = undefined;
  workload.releaseHeld();
  emit(context, workload, "destroy");
  workload.waiting.settle("removed", workload.outcome());
}
