/**
 * Workloads whose memory is on the disk: suspended, resumed, given up. That a workload is suspended is what its
 * saved state says (`suspendedPlace`); the record follows.
 */
import { existsSync } from "node:fs";
import { HullError, messageOf } from "../contract/errors.ts";
import { removeSuspended } from "../wall/suspended.ts";
import { suspendedPlace } from "../wall/wall.ts";
import { now } from "./clock.ts";
import { type EngineContext, emit, settle } from "./context.ts";
import { exitLocked } from "./exit.ts";
import { attachNetwork, releaseConnection, specOf } from "./perform.ts";
import { clearSandbox } from "./resting.ts";
import { SIGKILL } from "./signals.ts";
import type { Workload } from "./workload.ts";

/** Docker's clients know of pauses only. */
const mark = { suspended: "true" };

export function isSuspended({ record }: Workload): boolean {
  return existsSync(suspendedPlace(record.spec.directory));
}

export async function suspendWorkload(context: EngineContext, workload: Workload): Promise<void> {
  using _lock = await workload.lock.acquire();
  const { record, sandbox } = workload;
  const { name } = record;
  requireSaving(context, workload, "suspend", "pause it: its memory is then kept until the host restarts");
  requireNoShare(workload, "suspend");
  if (workload.state === "suspended")
    throw new HullError("workloadRunning", { name, state: "suspended", why: "it is so already" });
  if (workload.state === "paused") throw new HullError("workloadPaused", { name });
  if (workload.state !== "running" || sandbox?.suspend === undefined)
    throw new HullError("workloadNotRunning", { name });
  try {
    await sandbox.suspend();
    workload.sandbox = undefined;
    await context.networks.detach(workload.id);
    context.failpoint("suspend:sandbox");
    settleSuspended(context, workload, false);
  } catch (error) {
    // Its state is saved all the same: what is left of the sandbox is taken away when it is resumed.
    if (isSuspended(workload)) settleSuspended(context, workload, true);
    throw error;
  }
  context.failpoint("suspend:settle");
}

function settleSuspended(context: EngineContext, workload: Workload, sandbox: boolean): void {
  workload.sandbox = undefined;
  settle(context, workload, "suspended", { sandbox });
  emit(context, workload, "pause", mark);
}

export async function resumeWorkload(context: EngineContext, workload: Workload): Promise<void> {
  using _lock = await workload.lock.acquire();
  requireSaving(context, workload, "resume", "unpause what is paused, start what has ended");
  if (workload.state !== "suspended")
    throw new HullError("workloadRunning", {
      name: workload.record.name,
      state: workload.state,
      why: "only a suspended one can be resumed",
    });
  await resumeLocked(context, workload);
}

/** The workload is suspended; its lock is held. */
export async function resumeLocked(context: EngineContext, workload: Workload): Promise<void> {
  const wall = context.walls[workload.record.wall];
  const { unavailable } = await wall.features();
  if (unavailable !== undefined || wall.revive === undefined)
    throw new HullError("unsupported", { what: "resume", where: " here", why: unavailable ?? "" });
  if (workload.record.life.sandbox) await clearSandbox(context, workload);
  settle(context, workload, "suspended", { sandbox: true });
  context.failpoint("resume:record");
  try {
    // It gets the addresses that it had, if nobody else took them.
    await attachNetwork(context, workload);
    workload.sandbox = await wall.revive(specOf(workload));
    releaseConnection(workload);
    context.failpoint("resume:sandbox");
    settleResumed(context, workload);
  } catch (error) {
    await resumeFailed(context, workload, error);
    throw error;
  }
  context.failpoint("resume:settle");
}

export function settleResumed(context: EngineContext, workload: Workload): void {
  settle(context, workload, "running", { stoppedByUser: false });
  workload.stopping = false;
  emit(context, workload, "unpause", mark);
  if (workload.sandbox !== undefined) context.watch(workload, workload.sandbox);
}

async function resumeFailed(context: EngineContext, workload: Workload, error: unknown): Promise<void> {
  releaseConnection(workload);
  if (isSuspended(workload)) return await clearSandbox(context, workload);
  await exitLocked(context, workload, {
    lost: `it was lost while it was resumed: ${messageOf(error)}`,
  });
}

/** Gives up the memory of a suspended workload: it has ended, as if it had been killed. */
export async function giveUpLocked(context: EngineContext, workload: Workload): Promise<void> {
  workload.stopping = true;
  settle(context, workload, "suspended", { stoppedByUser: true });
  await removeSuspended(workload.record.spec.directory);
  context.failpoint("give-up:removed");
  await exitLocked(context, workload, { code: 128 + SIGKILL, oomKilled: false, finishedAt: now() });
}

/** What a daemon that ended meanwhile left; false: the workload is not suspended (any more). */
export async function recoverSuspended(context: EngineContext, workload: Workload): Promise<boolean> {
  if (!isSuspended(workload)) return false;
  if (workload.record.life.sandbox) await clearSandbox(context, workload);
  else await context.networks.detach(workload.id);
  if (workload.state !== "suspended") settle(context, workload, "suspended");
  return true;
}

function requireSaving(context: EngineContext, workload: Workload, what: string, why: string): void {
  const { wall } = workload.record;
  if (context.walls[wall].revive === undefined)
    throw new HullError("unsupported", { what, where: ` on the ${wall} wall`, why });
}

/** QEMU saves no machine that has files of the host open, for it could not open them again (hw/9pfs, migration blocker). */
export function requireNoShare({ record }: Workload, what: string): void {
  const shared = record.mounts.find(({ type }) => type !== "tmpfs");
  if (shared === undefined) return;
  throw new HullError("unsupported", {
    what: `${what} of ${record.name}`,
    where: ` with a ${shared.type} mounted at ${shared.target}`,
    why: "the memory of a virtual machine that uses files of the host cannot be saved: stop it, or run it without",
  });
}
