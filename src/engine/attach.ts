/** Joining a client to a workload's standard streams. */
import { HullError } from "../contract/errors.ts";
import type { Attachment, AttachOptions } from "../wall/wall.ts";
import { type EngineContext, emit } from "./context.ts";
import { HeldAttachment } from "./held-attachment.ts";
import { requireMoving } from "./life-cycle.ts";
import type { Workload } from "./workload.ts";

/** A workload that does not run yet is attached to at its next start, before its first instruction. */
export async function attachWorkload(
  context: EngineContext,
  workload: Workload,
  options: AttachOptions,
): Promise<Attachment> {
  using _lock = await workload.lock.acquire();
  const { state, record, sandbox } = workload;
  const { name } = record;
  requireMoving(workload);
  if (state === "removing" || state === "dead" || !context.workloads.has(workload.id))
    throw new HullError("workloadNotRunning", { name });
  const stdin = options.stdin && record.spec.process.stdin;
  emit(context, workload, "attach");
  if (workload.live && sandbox !== undefined) return await sandbox.attach({ stdin });
  const held = new HeldAttachment({ stdin, onDetach: (attachment) => workload.held.delete(attachment) });
  workload.held.add(held);
  return held;
}
