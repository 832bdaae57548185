/**
 * Access to a workload's files, whatever state it is in. One that does not run is locked meanwhile: its files are
 * mounted, or a machine is made for them, and nothing may start or remove it.
 */
import { HullError } from "../../contract/errors.ts";
import type { OpenFiles } from "../../wall/wall.ts";
import { type EngineContext, settle } from "../context.ts";
import { requirePresent } from "../life-cycle.ts";
import { holdMounts } from "../mounts/hold-mounts.ts";
import { clearSandbox } from "../resting.ts";
import type { Workload } from "../workload.ts";

/** `mounts`: with what is mounted into it; a running workload's are there in any case. */
export async function openFiles(
  context: EngineContext,
  workload: Workload,
  { mounts }: { readonly mounts: boolean },
): Promise<OpenFiles> {
  await using held = new AsyncDisposableStack();
  const lock = await workload.lock.acquire();
  held.defer(() => lock[Symbol.dispose]());
  const { name, wall, spec } = workload.record;
  if (!context.workloads.has(workload.id)) throw new HullError("noSuchWorkload", { name });
  requirePresent(workload);
  // A file system that is written to beside the memory that knows it is lost.
  if (workload.state === "suspended") throw new HullError("workloadSuspended", { name });
  if (workload.live && workload.sandbox !== undefined)
    return { files: workload.sandbox.files, [Symbol.asyncDispose]: () => Promise.resolve() };
  if (workload.record.life.sandbox) await clearSandbox(context, workload);
  if (mounts) held.use(await holdMounts(context, workload.record));
  // Recorded first: what a killed daemon leaves of it is taken away like a sandbox.
  settle(context, workload, workload.state, { sandbox: true });
  const opened = await context.walls[wall]
    .openFiles(mounts ? spec : { ...spec, mounts: [] })
    .catch((error: unknown) => {
      settle(context, workload, workload.state, { sandbox: false });
      throw error;
    });
  held.defer(async () => {
    await opened[Symbol.asyncDispose]();
    if (!context.closing.aborted) settle(context, workload, workload.state, { sandbox: false });
  });
  const kept = held.move();
  return { files: opened.files, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}
