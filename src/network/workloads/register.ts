/** A workload's wishes, checked and recorded when it is created; nothing is made yet. */
import { HullError } from "../../contract/errors.ts";
import type { WallKind } from "../../contract/isolation.ts";
import { parseAddress } from "../addresses/address.ts";
import { checkResolverWords, parseExtraHost } from "../dns/network-files.ts";
import type { NetworkContext } from "../networks/context.ts";
import { modeOf, planEndpoints } from "../networks/endpoints.ts";
import { requirePolicyPlace } from "../policy/place.ts";
import type { EndpointRecord, NetworkRequest, WorkloadRecord } from "../records/types.ts";

export interface Registration {
  readonly id: string;
  readonly name: string;
  readonly wall: WallKind;
  readonly hostname: string;
  readonly request: NetworkRequest;
  readonly exposed: readonly string[];
  /** Legacy links of the default network: `NAME:ALIAS`. */
  readonly links: readonly string[];
}

export function registerWorkload(context: NetworkContext, registration: Registration): void {
  const { links, ...rest } = registration;
  checkRequest(registration);
  const endpoints = planEndpoints(context, registration.request);
  requireCards(registration.wall, endpoints.length);
  const record: WorkloadRecord = {
    ...rest,
    endpoints: linked(endpoints, links),
    bound: [],
    live: false,
  };
  context.records.putWorkload(record);
}

/** The workload is behind another wall from now on. Throws for networks that it cannot have there. */
export function changeWall(context: NetworkContext, id: string, wall: WallKind): void {
  const record = context.records.workloads.get(id);
  if (record === undefined || record.wall === wall) return;
  requireWall(record, wall);
  context.records.putWorkload({ ...record, wall });
}

export function requireWall(record: WorkloadRecord, wall: WallKind): void {
  checkRequest({ ...record, wall, links: [] });
  requireCards(wall, record.endpoints.length);
}

function linked(endpoints: readonly EndpointRecord[], links: readonly string[]): EndpointRecord[] {
  const [first, ...others] = endpoints;
  if (first === undefined) return [];
  return [{ ...first, links: [...first.links, ...links] }, ...others];
}

function checkRequest({ request, wall, links }: Registration): void {
  const mode = modeOf(request);
  const refuse = (what: string, value: string, why: string): never => {
    throw new HullError("invalidParameter", { what, value, why });
  };
  if (wall === "vm" && (mode === "host" || mode === "container"))
    throw new HullError("unsupported", {
      what: `the network mode ${request.mode}`,
      where: " on the vm wall",
      why: "a virtual machine has a network stack of its own: use a network, or the container wall",
    });
  requirePolicyPlace(request);
  if (mode !== "bridges") {
    if (request.ports.length > 0 && mode !== "host")
      refuse(
        "published port",
        String(request.ports[0]?.port),
        `there is no way in with the network mode ${request.mode}`,
      );
    if (links.length > 0)
      refuse("link", links[0] ?? "", `it goes with networks, not with the mode ${request.mode}`);
  }
  if (mode === "container" && request.extraHosts.length > 0)
    refuse(
      "extra host",
      request.extraHosts[0] ?? "",
      "the files are those of the workload whose network it joins",
    );
  const resolving = [...request.dns, ...request.dnsSearch, ...request.dnsOptions];
  if (mode === "container" && resolving[0] !== undefined)
    refuse(
      "DNS setting",
      resolving[0],
      "names are resolved as they are for the workload whose network it joins",
    );
  for (const server of request.dns)
    if (parseAddress(server) === undefined) refuse("DNS server", server, "it is no IP address");
  for (const text of request.extraHosts) parseExtraHost(text);
  checkResolverWords(request);
}

/** Network cards that a machine has from its start; none can be added while it runs. */
const machineCards = 4;

export function requireCards(wall: WallKind, count: number): void {
  if (wall === "vm" && count > machineCards)
    throw new HullError("tooLarge", {
      what: "the number of networks",
      value: count,
      limit: `${machineCards} of a virtual machine`,
    });
}
