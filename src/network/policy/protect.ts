/** What holds of a workload's cables from before they are plugged in: whose addresses they carry, and what is beyond reach. */
import { parseAllowed } from "../egress/allow-list.ts";
import type { Restriction } from "../egress/rules.ts";
import { guardedPort } from "../firewall/guard.ts";
import type { NetworkContext } from "../networks/context.ts";
import type { EndpointRecord, WorkloadRecord } from "../records/types.ts";

/** `endpoints`: those that are new. */
export async function protect(
  context: NetworkContext,
  record: WorkloadRecord,
  endpoints: readonly EndpointRecord[],
): Promise<void> {
  await context.firewall.guard(endpoints.flatMap((endpoint) => guardedPort(endpoint) ?? []));
  await restrict(context, record);
}

/** Makes the rules about what it may reach fit its record. */
export async function restrict(context: NetworkContext, record: WorkloadRecord): Promise<void> {
  const restriction = restrictionOf(context, record);
  if (restriction !== undefined) context.egress.put(restriction);
  const gone = restriction === undefined && context.egress.delete(record.id);
  if (restriction !== undefined || gone) await context.firewall.restrict();
}

export async function lift(context: NetworkContext, workload: string): Promise<void> {
  if (context.egress.delete(workload)) await context.firewall.restrict();
}

/** For a workload that runs already: known before the tables are written. */
export function adoptProtection(context: NetworkContext, record: WorkloadRecord): Promise<void> {
  adoptRestriction(context, record);
  return context.firewall.guard(record.endpoints.flatMap((endpoint) => guardedPort(endpoint) ?? []));
}

/** With what an earlier daemon's tables in the kernel have. */
export function adoptRestriction(context: NetworkContext, record: WorkloadRecord): void {
  const restriction = restrictionOf(context, record);
  if (restriction === undefined) return;
  context.egress.put(restriction);
  context.firewall.adopt(restriction);
}

function restrictionOf(context: NetworkContext, record: WorkloadRecord): Restriction | undefined {
  const { egress } = record.request;
  if (egress === undefined) return undefined;
  const on = record.endpoints.flatMap((endpoint) => {
    const network = context.records.networks.get(endpoint.network);
    return network === undefined ? [] : [{ endpoint, network }];
  });
  const gateways = on.flatMap(({ network }) => network.subnets.map(({ gateway }) => gateway));
  return {
    id: record.id,
    sources: on.flatMap(({ endpoint, network }) =>
      (guardedPort(endpoint)?.addresses ?? []).map((address) => ({ bridge: network.bridge, address })),
    ),
    resolvers: on
      .filter(({ network }) => context.resolvers.isOpen(network.id))
      .flatMap(({ network }) => network.subnets.map(({ gateway }) => gateway)),
    hostAddresses: gateways,
    allowed: egress.map(parseAllowed),
  };
}
