/** Whether there is a network of the workload's own that what it may reach, and how fast, could be said of. */
import { HullError } from "../../contract/errors.ts";
import { modeOf } from "../networks/endpoints.ts";
import type { NetworkRequest } from "../records/types.ts";

/** What is asked of a network of the workload's own; undefined: nothing is. */
export function policyWord({ egress, ingressRate, egressRate }: NetworkRequest): string | undefined {
  if (egress !== undefined) return "a list of what egress is allowed to";
  if (ingressRate !== undefined) return "a rate of ingress";
  return egressRate === undefined ? undefined : "a rate of egress";
}

/** Throws `unsupported` for a workload whose packets do not pass where Hull could look at them. */
export function requirePolicyPlace(request: NetworkRequest): void {
  const what = policyWord(request);
  if (what === undefined || modeOf(request) === "bridges") return;
  const why: Record<"none" | "host" | "container", string> = {
    none: "it has a loopback interface only: there is nothing to be limited",
    host: "it has the host's own interfaces: use a network",
    container: "it has another workload's interfaces: limit that one",
  };
  const mode = modeOf(request);
  throw new HullError("unsupported", {
    what,
    where: ` with the network mode ${request.mode.split(":")[0]}`,
    why: mode === "bridges" ? "" : why[mode],
  });
}
