/** What a workload may reach, and how fast, changed while it runs or rests. */
import type { NetworkContext } from "../networks/context.ts";
import { tuneCables } from "../policy/cables.ts";
import { forgetConnections } from "../policy/connections.ts";
import { requirePolicyPlace } from "../policy/place.ts";
import { restrict } from "../policy/protect.ts";
import { isLimited, newQueueNumber } from "../policy/shaping.ts";
import type { NetworkRequest, WorkloadRecord } from "../records/types.ts";
import { requireWorkload } from "./attach.ts";

/** Members that are not there stay as they are; null takes away what there was. */
export interface PolicyChange {
  readonly egress?: readonly string[] | null;
  readonly ingressRate?: number | null;
  readonly egressRate?: number | null;
}

export async function changePolicy(context: NetworkContext, id: string, change: PolicyChange): Promise<void> {
  const before = requireWorkload(context, id);
  const request = { ...before.request, ...changed(before.request, change) };
  requirePolicyPlace(request);
  const plain: WorkloadRecord = { ...before, request };
  if (!before.live) return context.records.putWorkload(plain);
  const queue = before.queue ?? (isLimited(plain) ? newQueueNumber() : undefined);
  const record = queue === undefined ? plain : { ...plain, queue };
  await applyPolicy(context, record, before);
}

async function applyPolicy(
  context: NetworkContext,
  record: WorkloadRecord,
  before: WorkloadRecord,
): Promise<void> {
  context.records.putWorkload(record);
  try {
    tuneCables(context, record);
    await restrict(context, record);
  } catch (error) {
    context.records.putWorkload({
      ...before,
      ...(record.queue === undefined ? {} : { queue: record.queue }),
    });
    tuneCables(context, { ...record, request: before.request });
    await restrict(context, before);
    throw error;
  }
  if (isNarrower(record.request.egress, before.request.egress)) forgetConnections(context, record);
}

/** Whether something was allowed that is not any more. */
function isNarrower(now: readonly string[] | undefined, before: readonly string[] | undefined): boolean {
  return now !== undefined && (before === undefined || before.some((word) => !now.includes(word)));
}

function changed(
  request: NetworkRequest,
  change: PolicyChange,
): Pick<NetworkRequest, "egress" | "ingressRate" | "egressRate"> {
  const pick = <T>(now: T | undefined, then: T | null | undefined): T | undefined =>
    then === undefined ? now : (then ?? undefined);
  return {
    egress: pick(request.egress, change.egress),
    ingressRate: pick(request.ingressRate, change.ingressRate),
    egressRate: pick(request.egressRate, change.egressRate),
  };
}
