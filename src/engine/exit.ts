/** What happens when a workload ends: recorded, announced, its sandbox removed; then it goes, comes back, or stays. */
import { type HullError, isHullError, messageOf } from "../contract/errors.ts";
import type { ExitStatus, Sandbox } from "../wall/wall.ts";
import { now, pause } from "./clock.ts";
import { type EngineContext, emit, settle } from "./context.ts";
import { removeLocked, startLocked } from "./life-cycle.ts";
import { nextDelay, restartsAfterExit } from "./restart.ts";
import { clearSandbox } from "./resting.ts";
import type { Workload } from "./workload.ts";

/** What Docker shows for a container whose exit code nobody knows. */
const unknownExitCode = 255;

/** A known end, or why the exit status cannot be known. */
export type End = ExitStatus | { readonly lost: string };

/** Awaits the end of a running sandbox in the background. */
export function watchExit(context: EngineContext, workload: Workload, sandbox: Sandbox): void {
  sandbox
    .wait()
    .catch((error: unknown): End => ({ lost: lossOf(error) }))
    .then(async (end) => {
      if (context.closing.aborted) return;
      using _lock = await workload.lock.acquire();
      if (context.closing.aborted || workload.sandbox !== sandbox || !workload.live) return;
      await exitLocked(context, workload, end);
    })
    .catch((error: unknown) => {
      if (context.closing.aborted) return;
      context.log.error("could not finish a workload's exit", { id: workload.id, why: messageOf(error) });
    });
}

function lossOf(error: unknown): string {
  const known: HullError | undefined = isHullError(error) ? error : undefined;
  return known?.message ?? `the sandbox was lost: ${messageOf(error)}`;
}

/** The workload has ended; its lock is held. */
export async function exitLocked(context: EngineContext, workload: Workload, end: End): Promise<void> {
  const { request, life } = workload.record;
  const known = "lost" in end ? undefined : end;
  const exitCode = known?.code ?? unknownExitCode;
  const finishedAt = known?.finishedAt ?? now();
  const ranFor = finishedAt - (life.startedAt ?? finishedAt);
  const restarts = !workload.stopping && restartsAfterExit(request.restart, exitCode, life.restartCount);
  settle(context, workload, restarts ? "restarting" : "exited", {
    exitCode,
    finishedAt,
    oomKilled: known?.oomKilled ?? false,
    error: "lost" in end ? end.lost : "",
    lost: "lost" in end,
    restartCount: restarts ? life.restartCount + 1 : life.restartCount,
  });
  if (known?.oomKilled) emit(context, workload, "oom");
  emit(context, workload, "die", {
    exitCode: String(exitCode),
    execDuration: String(Math.max(0, Math.floor(ranFor / 1000))),
  });
  context.failpoint("exit:record");
  workload.waiting.settle("next-exit", workload.outcome());
  if (!restarts) workload.waiting.settle("not-running", workload.outcome());
  const goes = !restarts && request.autoRemove && !workload.restartedByClient;
  await clearSandbox(context, workload, { discard: goes || workload.leaving });
  context.failpoint("exit:remove-sandbox");
  if (restarts) restartLater(context, workload, ranFor);
  else if (goes) await removeLocked(context, workload);
}

/** Starts the workload again after a pause that grows while it keeps failing. */
export function restartLater(context: EngineContext, workload: Workload, ranFor: number): void {
  const control = new AbortController();
  workload.restartPause = control;
  workload.restartDelay = nextDelay(workload.restartDelay, ranFor);
  const restart = async (): Promise<void> => {
    await pause(workload.restartDelay, AbortSignal.any([control.signal, context.closing]));
    if (context.closing.aborted) return;
    using _lock = await workload.lock.acquire();
    if (control.signal.aborted || workload.state !== "restarting") return;
    await startLocked(context, workload);
  };
  restart().catch((error: unknown) => {
    if (context.closing.aborted) return;
    context.log.error("could not restart a workload", { id: workload.id, why: messageOf(error) });
  });
}
