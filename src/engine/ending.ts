/**
 * How clients end a workload: stop, kill, restart, remove. Nothing here holds the workload's lock while it waits
 * for the end, for the exit itself is recorded under that lock.
 */
import { HullError, isHullError, messageOf } from "../contract/errors.ts";
import { unpauseLocked } from "./changes.ts";
import { pause } from "./clock.ts";
import { type EngineContext, emit, settle } from "./context.ts";
import { removeLocked, startLocked } from "./life-cycle.ts";
import { cancelRestart } from "./resting.ts";
import { SIGKILL } from "./signals.ts";
import { giveUpLocked, resumeLocked } from "./suspend.ts";
import type { Workload } from "./workload.ts";

const defaultStopTimeout = 10;
/** Seconds until a workload that was killed must be gone. */
const killTimeout = 30;

/** `timeout` in seconds; undefined: what the workload was created with; negative: waits for ever. */
export async function stopWorkload(
  context: EngineContext,
  workload: Workload,
  options: { timeout: number | undefined; signal?: number | undefined },
): Promise<void> {
  const { record } = workload;
  {
    using _lock = await workload.lock.acquire();
    if (workload.state === "restarting") {
      settle(context, workload, "restarting", { stoppedByUser: true });
      cancelRestart(context, workload);
      return;
    }
    if (!workload.live) throw new HullError("notModified", { what: "the container is not running" });
    // Only a workload that moves can end in order.
    if (workload.state === "suspended") await resumeLocked(context, workload);
    workload.stopping = true;
    settle(context, workload, workload.state, { stoppedByUser: true });
    if (workload.state === "paused") await unpauseLocked(context, workload);
  }
  await endWorkload(context, workload, {
    signal: options.signal ?? record.stopSignal,
    timeout: options.timeout ?? record.request.stopTimeout ?? defaultStopTimeout,
  });
  emit(context, workload, "stop");
}

/** Sends a signal, then SIGKILL when the workload has not ended in time. */
async function endWorkload(
  context: EngineContext,
  workload: Workload,
  options: { signal: number; timeout: number },
): Promise<void> {
  const { ended } = workload;
  await signalIfLive(context, workload, options.signal);
  if (options.timeout < 0) return await ended;
  if (await settledWithin(ended, options.timeout)) return;
  // It may have been suspended meanwhile: whoever stops it still gets it stopped.
  if (workload.state === "suspended") return await killSuspended(context, workload, SIGKILL);
  await signalIfLive(context, workload, SIGKILL);
  if (await settledWithin(ended, killTimeout)) return;
  throw new HullError("conflict", {
    what: `container ${workload.record.name} did not end within ${killTimeout} s of SIGKILL: try again, or remove it by force`,
  });
}

async function signalIfLive(context: EngineContext, workload: Workload, signal: number): Promise<void> {
  try {
    await workload.sandbox?.signal(signal);
  } catch (error) {
    if (workload.live) throw error;
  }
  emit(context, workload, "kill", { signal: String(signal) });
}

async function settledWithin(promise: Promise<void>, seconds: number): Promise<boolean> {
  const cut = new AbortController();
  const ended = promise.then(() => true);
  const late = pause(seconds * 1000, cut.signal).then(() => false);
  const result = await Promise.race([ended, late]);
  cut.abort();
  return result;
}

export async function killWorkload(
  context: EngineContext,
  workload: Workload,
  signal: number,
): Promise<void> {
  // A signal that comes during the start is for the program that is about to run.
  if (workload.state === "starting") (await workload.lock.acquire())[Symbol.dispose]();
  if (workload.state === "suspended") return await killSuspended(context, workload, signal);
  const { record, sandbox } = workload;
  if (!workload.live || sandbox === undefined)
    throw new HullError("workloadNotRunning", { name: record.name });
  if (signal === SIGKILL || signal === record.stopSignal) {
    workload.stopping = true;
    settle(context, workload, workload.state, { stoppedByUser: true });
  }
  await signalIfLive(context, workload, signal);
  // A frozen process dies of SIGKILL only once it is thawed (cgroup v1).
  if (signal !== SIGKILL || workload.state !== "paused") return;
  using _lock = await workload.lock.acquire();
  if (workload.state === "paused") await unpauseLocked(context, workload).catch(() => {});
}

/** What does not move gets no signal; the one that nothing survives ends it. */
async function killSuspended(context: EngineContext, workload: Workload, signal: number): Promise<void> {
  if (signal !== SIGKILL) throw new HullError("workloadSuspended", { name: workload.record.name });
  using _lock = await workload.lock.acquire();
  if (workload.state !== "suspended")
    throw new HullError("workloadNotRunning", { name: workload.record.name });
  emit(context, workload, "kill", { signal: String(signal) });
  await giveUpLocked(context, workload);
}

export async function restartWorkload(
  context: EngineContext,
  workload: Workload,
  options: { timeout: number | undefined; signal?: number | undefined },
): Promise<void> {
  workload.restartedByClient = true;
  try {
    await stopWorkload(context, workload, options).catch((error: unknown) => {
      if (!isHullError(error, "notModified")) throw error;
    });
    using _lock = await workload.lock.acquire();
    if (!workload.live) await startLocked(context, workload);
  } finally {
    workload.restartedByClient = false;
  }
  emit(context, workload, "restart");
}

export async function removeWorkload(
  context: EngineContext,
  workload: Workload,
  options: { force: boolean; volumes?: boolean },
): Promise<void> {
  // One that is being started is found running only once its lock is free: it is then killed in the second round.
  for (const round of ["first", "second", "last"]) {
    if (workload.live) {
      if (!options.force) throw stillRunning(workload);
      workload.stopping = true;
      workload.leaving = true;
      await killForRemoval(context, workload);
    }
    using _lock = await workload.lock.acquire();
    if (!context.workloads.has(workload.id)) return;
    if (workload.live && (!options.force || round !== "last")) continue;
    cancelRestart(context, workload);
    const volumes = options.volumes ?? workload.record.request.autoRemove;
    return await removeLocked(context, workload, { volumes });
  }
  throw stillRunning(workload);
}

/** A kill whose exit is recorded and announced; what does not end so is taken away with its sandbox. */
async function killForRemoval(context: EngineContext, workload: Workload): Promise<void> {
  try {
    if (workload.state === "suspended") return await killSuspended(context, workload, SIGKILL);
    await signalIfLive(context, workload, SIGKILL);
    if (workload.state === "paused") await workload.sandbox?.resume();
    await settledWithin(workload.ended, defaultStopTimeout);
  } catch (error) {
    context.log.warn("could not kill a workload before its removal", {
      id: workload.id,
      why: messageOf(error),
    });
  }
}

function stillRunning(workload: Workload): HullError {
  const { name } = workload.record;
  return new HullError("workloadRunning", {
    name,
    state: workload.state,
    why: "stop the container before removing it, or force",
  });
}
