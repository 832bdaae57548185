/** Networks of a workload that exists, changed: at once if it runs, else for its next start. */
import { HullError, messageOf } from "../../contract/errors.ts";
import { deleteLink } from "../../host/network/links.ts";
import { networkNamespaceOf } from "../../host/network/namespace.ts";
import { changeWayOut, type Interface, plugIn, type Route, routesOf } from "../links/wiring.ts";
import type { NetworkContext } from "../networks/context.ts";
import { allocateOne, modeOf, planEndpoint, withOwnMac } from "../networks/endpoints.ts";
import { raiseNetwork } from "../networks/raise.ts";
import { tuneCables } from "../policy/cables.ts";
import { protect, restrict } from "../policy/protect.ts";
import { sizeSegments } from "../policy/segments.ts";
import { bindings, boundAgain, boundTo } from "../ports/bindings.ts";
import { type HeldPorts, holdPorts, type PortTarget } from "../ports/ports.ts";
import type { EndpointRequest, NetworkRecord, PortRequest, WorkloadRecord } from "../records/types.ts";
import { filesOf, hostAddressOf, interfacesOf, plugsOf, requireWorkload, targetOf } from "./attach.ts";
import { requireCards } from "./register.ts";

/** How a running workload's interfaces are now; its wall has to tell the kernel inside, if that is not the host's. */
export interface Connected {
  readonly live: boolean;
  /** Names of interfaces that are new. */
  readonly added: readonly string[];
  readonly interfaces: readonly Interface[];
  readonly routes: readonly Route[];
  readonly hosts: string;
  readonly resolver: string;
}

export async function connectWorkload(
  context: NetworkContext,
  id: string,
  network: NetworkRecord,
  request: EndpointRequest,
): Promise<Connected> {
  // It may have been removed while the workload was busy.
  if (!context.records.networks.has(network.id)) throw new HullError("noSuchNetwork", { name: network.name });
  const before = requireWorkload(context, id);
  if (modeOf(before.request) !== "bridges")
    throw new HullError("conflict", {
      what: `container ${before.name} uses the network mode ${before.request.mode}, so it cannot be connected to a network`,
    });
  if (before.endpoints.some((endpoint) => endpoint.network === network.id))
    throw new HullError("alreadyConnected", { name: before.name, network: network.name });
  requireCards(before.wall, before.endpoints.length + 1);
  const planned = planEndpoint(network, withOwnMac(request, before.request, network), before.endpoints);
  const running = context.processOf(id) !== undefined;
  // A workload without a network that gets one has to be followed from now on.
  const joined = { ...before, endpoints: [...before.endpoints, planned], live: before.live || running };
  context.records.putWorkload(joined);
  if (!running) return changeOf(context, joined);
  try {
    await raiseNetwork(context, network.id);
    const endpoint = allocateOne(context, id, planned);
    const record = { ...joined, endpoints: [...before.endpoints, endpoint] };
    context.records.putWorkload(record);
    await protect(context, record, [endpoint]);
    plugInRunning(context, before, record, endpoint.id);
    tuneCables(context, record);
    await movePorts(context, record);
    return changeOf(context, record, [endpoint.interface]);
  } catch (error) {
    context.socket.request([deleteLink(planned.hostLink)]);
    context.records.putWorkload(before);
    sizeSegments(context, joined);
    await context.firewall.unguard([planned.hostLink]);
    await restrict(context, before);
    await movePortsBack(context, before);
    throw error;
  }
}

function plugInRunning(
  context: NetworkContext,
  before: WorkloadRecord,
  record: WorkloadRecord,
  endpoint: string,
): void {
  using namespace = requireNamespace(context, record);
  const plugs = plugsOf(
    context,
    record.endpoints.filter(({ id }) => id === endpoint),
  );
  const configure = record.wall === "container";
  plugIn(namespace, plugs, {
    host: context.socket,
    tag: context.tag,
    configure,
    wayOut: { 4: undefined, 6: undefined },
  });
  if (configure) changeWayOut(namespace, interfacesOf(context, before), interfacesOf(context, record));
}

export async function disconnectWorkload(
  context: NetworkContext,
  id: string,
  network: NetworkRecord,
): Promise<Connected> {
  const before = requireWorkload(context, id);
  const leaving = before.endpoints.find((endpoint) => endpoint.network === network.id);
  if (leaving === undefined)
    throw new HullError("notConnected", { name: before.name, network: network.name });
  const record = { ...before, endpoints: before.endpoints.filter((endpoint) => endpoint !== leaving) };
  const running = context.processOf(id) !== undefined;
  context.records.putWorkload(record);
  sizeSegments(context, before);
  if (!running) return changeOf(context, record);
  context.socket.request([deleteLink(leaving.hostLink)]);
  await context.firewall.unguard([leaving.hostLink]);
  await restrict(context, record);
  if (record.wall === "container") {
    using namespace = requireNamespace(context, record);
    changeWayOut(namespace, interfacesOf(context, before), interfacesOf(context, record));
  }
  await movePorts(context, record);
  return changeOf(context, record);
}

/** Published ports lead to the way out, which may be another now, or none. */
async function movePorts(context: NetworkContext, record: WorkloadRecord): Promise<void> {
  const { ports, firewall, records } = context;
  const target = targetOf(context, record);
  const held = ports.get(record.id);
  const wanted = boundTo(hostAddressOf(context, record), portsToMove(record));
  if (wanted.length === 0 || (held !== undefined && leadsTo(held, target))) return;
  if (held !== undefined) await firewall.change("delete", held.redirects);
  ports.delete(record.id);
  try {
    const moved = holdPorts(wanted, target, held);
    ports.set(record.id, moved);
    records.putWorkload({ ...record, bound: moved.bound });
    await firewall.change("add", moved.redirects);
  } catch (error) {
    // None of them leads anywhere now, and none is to look as if it did.
    ports.get(record.id)?.[Symbol.dispose]();
    ports.delete(record.id);
    records.putWorkload({ ...record, bound: [] });
    throw error;
  } finally {
    // Those that the workload has no longer.
    held?.[Symbol.dispose]();
  }
}

/** Ports lead to where they did before a change that failed; those that cannot be had again are told of. */
async function movePortsBack(context: NetworkContext, before: WorkloadRecord): Promise<void> {
  try {
    await movePorts(context, before);
  } catch (error) {
    context.log.warn("a workload's ports are not published: they could not be taken again", {
      id: before.id,
      why: messageOf(error),
    });
  }
}

/** Those that lead somewhere keep their numbers; the others are tried for anew. */
function portsToMove(record: WorkloadRecord): PortRequest[] {
  const bound = boundAgain(record);
  const isBound = (request: PortRequest): boolean =>
    bound.some(({ port, protocol }) => port === request.port && protocol === request.protocol);
  return [...bound, ...bindings(record).filter((request) => !isBound(request))];
}

function leadsTo(held: HeldPorts, target: PortTarget): boolean {
  return (
    held.redirects.length > 0 &&
    held.redirects.every(({ address }) => address === target.address4 || address === target.address6)
  );
}

function requireNamespace(context: NetworkContext, record: WorkloadRecord) {
  const pid = context.processOf(record.id);
  const namespace = pid === undefined ? undefined : networkNamespaceOf(pid);
  if (namespace === undefined) throw new HullError("workloadNotRunning", { name: record.name });
  return namespace;
}

function changeOf(context: NetworkContext, record: WorkloadRecord, added: readonly string[] = []): Connected {
  const interfaces = interfacesOf(context, record);
  return {
    live: record.live,
    added,
    interfaces,
    routes: routesOf(interfaces),
    ...filesOf(context, record),
  };
}
