/** Changes to a workload that neither start nor end it: pause, unpause, rename, restart policy. */
import { HullError } from "../contract/errors.ts";
import { type EngineContext, emit, settle } from "./context.ts";
import { requireMoving, requirePresent } from "./life-cycle.ts";
import { parseName } from "./names.ts";
import type { RestartPolicy } from "./restart.ts";
import { resumeLocked } from "./suspend.ts";
import type { Workload } from "./workload.ts";

export async function pauseWorkload(context: EngineContext, workload: Workload): Promise<void> {
  using _lock = await workload.lock.acquire();
  const { record, sandbox } = workload;
  if (workload.state === "paused")
    throw new HullError("workloadRunning", { name: record.name, state: "paused", why: "it is so already" });
  requireMoving(workload);
  if (workload.state !== "running" || sandbox === undefined)
    throw new HullError("workloadNotRunning", { name: record.name });
  settle(context, workload, "paused");
  try {
    await sandbox.pause();
  } catch (error) {
    settle(context, workload, "running");
    throw error;
  }
  emit(context, workload, "pause");
}

export async function unpauseWorkload(context: EngineContext, workload: Workload): Promise<void> {
  using _lock = await workload.lock.acquire();
  // Clients that know of pauses only show it as paused.
  if (workload.state === "suspended") return await resumeLocked(context, workload);
  if (workload.state !== "paused")
    throw new HullError("workloadRunning", {
      name: workload.record.name,
      state: workload.state,
      why: "only a paused one can be unpaused",
    });
  await unpauseLocked(context, workload);
}

export async function unpauseLocked(context: EngineContext, workload: Workload): Promise<void> {
  await workload.sandbox?.resume();
  settle(context, workload, "running");
  emit(context, workload, "unpause");
}

/** Counts from the next end on. */
export async function changeRestart(
  context: EngineContext,
  workload: Workload,
  restart: RestartPolicy,
): Promise<void> {
  using _lock = await workload.lock.acquire();
  requirePresent(workload);
  if (workload.record.request.autoRemove && restart.name !== "no")
    throw new HullError("conflict", {
      what: `container ${workload.record.name} is removed when it ends: it cannot be started again then`,
    });
  const record = { ...workload.record, request: { ...workload.record.request, restart } };
  context.records.change(record);
  workload.record = record;
  emit(context, workload, "update");
}

export async function renameWorkload(
  context: EngineContext,
  workload: Workload,
  newName: string,
): Promise<void> {
  const name = parseName(newName);
  using _lock = await workload.lock.acquire();
  requirePresent(workload);
  const oldName = workload.record.name;
  if (name === oldName)
    throw new HullError("invalidParameter", { what: "container name", value: name, why: "it has that name" });
  context.records.rename(workload.id, name);
  workload.record = { ...workload.record, name };
  context.networks.rename(workload.id, name);
  emit(context, workload, "rename", { oldName: `/${oldName}` });
}
