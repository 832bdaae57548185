/** Which networks a workload is on, with which addresses: all decided and recorded before anything is made. */
import { randomBytes } from "node:crypto";
import { HullError } from "../../contract/errors.ts";
import { ownMember } from "../../contract/own-member.ts";
import { formatAddress, requireAddress } from "../addresses/address.ts";
import { chooseAddress, macOf } from "../addresses/ipam.ts";
import type { WayOut } from "../links/wiring.ts";
import type {
  EndpointRecord,
  EndpointRequest,
  NetworkRecord,
  NetworkRequest,
  WorkloadRecord,
} from "../records/types.ts";
import type { NetworkContext } from "./context.ts";
import { findNetwork } from "./find.ts";

export const noEndpointRequest: EndpointRequest = {
  aliases: [],
  links: [],
  options: {},
  gatewayPriority: 0,
};

/** Names of modes that are no bridge. */
export type Mode = "none" | "host" | "container" | "bridges";

export function modeOf({ mode }: Pick<NetworkRequest, "mode">): Mode {
  if (mode === "none" || mode === "host") return mode;
  return mode.startsWith("container:") ? "container" : "bridges";
}

/** The network that the mode names: Docker's word for the default one is `default` or `bridge`. */
function primaryOf({ mode }: Pick<NetworkRequest, "mode">): string {
  return mode === "default" || mode === "" ? "bridge" : mode;
}

/** The endpoints of a workload that is being created. Throws `noSuchNetwork` and `invalidParameter`. */
export function planEndpoints(context: NetworkContext, request: NetworkRequest): EndpointRecord[] {
  const mode = modeOf(request);
  const others = Object.entries(request.endpoints);
  if (mode !== "bridges") {
    const [first] = others.filter(([name]) => name !== mode && name !== request.mode);
    if (first !== undefined)
      throw new HullError("invalidParameter", {
        what: "network",
        value: first[0],
        why: `a workload with the network mode ${request.mode} is on no other network`,
      });
    return [];
  }
  const wanted = new Map<string, { network: NetworkRecord; request: EndpointRequest }>();
  const primary = findNetwork(context, primaryOf(request));
  wanted.set(primary.id, { network: primary, request: noEndpointRequest });
  for (const [word, settings] of others) {
    const network = findNetwork(context, word === "default" ? "bridge" : word);
    wanted.set(network.id, { network, request: settings });
  }
  const endpoints: EndpointRecord[] = [];
  for (const { network, request: settings } of wanted.values())
    endpoints.push(planEndpoint(network, settings, endpoints));
  return endpoints;
}

/** The hardware address that the workload was made with is its first network's, whenever it comes back to that. */
export function withOwnMac(
  endpoint: EndpointRequest,
  { mode, endpoints }: NetworkRequest,
  network: NetworkRecord,
): EndpointRequest {
  const primary = primaryOf({ mode });
  if (endpoint.mac !== undefined || (network.name !== primary && network.id !== primary)) return endpoint;
  return { ...endpoint, mac: ownMember(endpoints, mode)?.mac };
}

export function planEndpoint(
  network: NetworkRecord,
  request: EndpointRequest,
  others: readonly EndpointRecord[],
): EndpointRecord {
  requireBridge(network);
  checkStatic(network, request);
  const id = randomBytes(32).toString("hex");
  const taken = new Set(others.map((endpoint) => endpoint.interface));
  let number = 0;
  while (taken.has(`eth${number}`)) number += 1;
  return {
    ...withCanonical(request),
    id,
    network: network.id,
    interface: `eth${number}`,
    hostLink: `hv${id.slice(0, 12)}`,
  };
}

/** Addresses as the records have all others, so that they can be told to be the same. */
function withCanonical(request: EndpointRequest): EndpointRequest {
  const { ipv6 } = request;
  return ipv6 === undefined
    ? request
    : { ...request, ipv6: formatAddress(requireAddress(ipv6, "IPv6 address", 6)) };
}

function requireBridge({ driver, name }: NetworkRecord): void {
  if (driver !== "bridge")
    throw new HullError("invalidParameter", {
      what: "network",
      value: name,
      why: "a workload is on it alone or not at all",
    });
}

/** Whether asked-for addresses can be had is known by the network alone; whether they are free, at the start. */
function checkStatic(network: NetworkRecord, { ipv4, ipv6, mac }: EndpointRequest): void {
  const question = { network, taken: new Set<string>(), remembered: new Set<string>() };
  if (ipv4 !== undefined) chooseAddress({ ...question, family: 4, wanted: ipv4 });
  if (ipv6 !== undefined) chooseAddress({ ...question, family: 6, wanted: ipv6 });
  if (mac !== undefined && !/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(mac))
    throw new HullError("invalidParameter", {
      what: "MAC address",
      value: mac,
      why: "write it as 02:42:ac:11:00:02",
    });
  if (mac !== undefined && (Number.parseInt(mac.slice(0, 2), 16) & 1) === 1)
    throw new HullError("invalidParameter", {
      what: "MAC address",
      value: mac,
      why: "it is a group's address: the lowest bit of the first byte has to be 0",
    });
}

/** Gives every endpoint its addresses; to be recorded before anything else happens. Throws `exhausted`, `addressInUse`. */
export function allocate(context: NetworkContext, workload: WorkloadRecord): EndpointRecord[] {
  return workload.endpoints.map((endpoint) => allocateOne(context, workload.id, endpoint));
}

export function allocateOne(
  context: NetworkContext,
  workload: string,
  endpoint: EndpointRecord,
): EndpointRecord {
  const network = context.records.networks.get(endpoint.network);
  if (network === undefined) throw new HullError("noSuchNetwork", { name: endpoint.network.slice(0, 12) });
  const { taken, remembered } = addressesOf(context, network.id, workload);
  const has = (four: boolean): boolean => network.subnets.some(({ subnet }) => subnet.includes(":") !== four);
  const address4 = has(true)
    ? chooseAddress({
        network,
        family: 4,
        taken,
        remembered,
        wanted: endpoint.ipv4,
        before: endpoint.address4,
      })
    : undefined;
  const address6 = has(false)
    ? chooseAddress({
        network,
        family: 6,
        taken,
        remembered,
        wanted: endpoint.ipv6,
        before: endpoint.address6,
      })
    : undefined;
  const hardware = endpoint.mac?.toLowerCase() ?? macOf(address4, endpoint.id);
  const { address4: _four, address6: _six, ...rest } = endpoint;
  return {
    ...rest,
    ...(address4 === undefined ? {} : { address4 }),
    ...(address6 === undefined ? {} : { address6 }),
    hardware,
  };
}

/** Addresses of a network that workloads have, and those that workloads at rest had. */
function addressesOf(
  context: NetworkContext,
  network: string,
  except: string,
): { taken: Set<string>; remembered: Set<string> } {
  const taken = new Set<string>();
  const remembered = new Set<string>();
  for (const workload of context.records.workloads.values()) {
    if (workload.id === except) continue;
    for (const endpoint of workload.endpoints) {
      if (endpoint.network !== network) continue;
      for (const address of [endpoint.address4, endpoint.address6])
        if (address !== undefined) (workload.live ? taken : remembered).add(address);
      // Nobody else gets by chance what somebody named.
      for (const address of [endpoint.ipv4, endpoint.ipv6])
        if (address !== undefined) remembered.add(address);
    }
  }
  return { taken, remembered };
}

/** The endpoints that the world is reached through: the highest priority, then the first network that was named. */
export function wayOutOf(context: NetworkContext, endpoints: readonly EndpointRecord[]): WayOut {
  const outward = endpoints
    .filter(({ network }) => context.records.networks.get(network)?.internal === false)
    .toSorted((one, other) => other.gatewayPriority - one.gatewayPriority);
  return {
    4: outward.find(({ address4 }) => address4 !== undefined)?.interface,
    6: outward.find(({ address6 }) => address6 !== undefined)?.interface,
  };
}
