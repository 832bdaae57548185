/** What holds of a workload's cables once they are plugged in, besides whose they are (protect.ts). */
import type { NetworkContext } from "../networks/context.ts";
import type { WorkloadRecord } from "../records/types.ts";
import { sizeSegments } from "./segments.ts";
import { shape } from "./shaping.ts";

/** After cables came or rates changed; the record is written already. */
export function tuneCables(context: NetworkContext, record: WorkloadRecord): void {
  shape(context, record);
  sizeSegments(context, record);
}
