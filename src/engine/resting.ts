/** Bringing a workload to rest: its sandbox taken away, a pending restart given up. The workload's lock is held. */
import { rm } from "node:fs/promises";
import { messageOf } from "../contract/errors.ts";
import type { RemoveOptions } from "../wall/wall.ts";
import { type EngineContext, settle } from "./context.ts";
import { emitConnections } from "./network-events.ts";
import type { Workload } from "./workload.ts";

/** Removes whatever there may be of the sandbox; works on what a dead daemon left too. */
export async function removeSandbox(
  context: EngineContext,
  workload: Workload,
  options: RemoveOptions = { discard: false },
): Promise<void> {
  const { record } = workload;
  if (!record.life.sandbox) return;
  const sandbox = workload.sandbox ?? (await context.walls[record.wall].recover(record.spec));
  await sandbox?.remove(options);
  workload.sandbox = undefined;
  emitConnections(context, workload, "disconnect");
  await context.networks.detach(workload.id);
  await rm(record.spec.runtimeDirectory, { recursive: true, force: true });
  await releaseMounts(workload);
}

/** Lets go of the volumes that the sandbox had. */
export async function releaseMounts(workload: Workload): Promise<void> {
  const held = workload.heldMounts;
  workload.heldMounts = undefined;
  await held?.[Symbol.asyncDispose]();
}

/** Takes the ended sandbox away. What cannot be removed now is tried again at the next start or removal. */
export async function clearSandbox(
  context: EngineContext,
  workload: Workload,
  options?: RemoveOptions,
): Promise<void> {
  try {
    await removeSandbox(context, workload, options);
    settle(context, workload, workload.state, { sandbox: false });
  } catch (error) {
    context.log.warn("could not remove a sandbox; it is tried again later", {
      id: workload.id,
      why: messageOf(error),
    });
  }
}

/** Gives up a restart that is pending; the lock is held. */
export function cancelRestart(context: EngineContext, workload: Workload): void {
  workload.restartPause?.abort();
  workload.restartPause = undefined;
  if (workload.state !== "restarting") return;
  settle(context, workload, "exited");
  workload.waiting.settle("not-running", workload.outcome());
}
