/** A workload's connection to its networks: made before its sandbox, taken away after it, found again by the next daemon. */
import { readFileSync } from "node:fs";
import { HullError, messageOf } from "../../contract/errors.ts";
import type { NetworkNamespace } from "../../host/network/namespace.ts";
import { type FileFacts, hostsFile, requireExtraHosts, resolverFile } from "../dns/network-files.ts";
import {
  adoptNamespace,
  type Interface,
  interfaceOf,
  newNamespace,
  type Plug,
  plugAgain,
  plugIn,
  type Route,
  routesOf,
} from "../links/wiring.ts";
import type { NetworkContext } from "../networks/context.ts";
import { allocate, modeOf, wayOutOf } from "../networks/endpoints.ts";
import { defaultHostAddress } from "../networks/networks.ts";
import { lowerIdleNetworks, raiseNetwork, turnForwardingOn } from "../networks/raise.ts";
import { tuneCables } from "../policy/cables.ts";
import { policyWord } from "../policy/place.ts";
import { adoptProtection, lift, protect, restrict } from "../policy/protect.ts";
import { sizeSegments } from "../policy/segments.ts";
import { isLimited, newQueueNumber, queuesOf } from "../policy/shaping.ts";
import { asRequest, bindings, boundTo } from "../ports/bindings.ts";
import { holdPorts } from "../ports/ports.ts";
import type { EndpointRecord, WorkloadRecord } from "../records/types.ts";
import { sweepLater } from "./sweep.ts";

/** What a sandbox is to be made with. Closing it lets go of the namespace, which the sandbox's processes then hold. */
export interface Connection extends Disposable {
  /** Path of the namespace to join; undefined: the host's own. */
  readonly namespace: string | undefined;
  readonly taps: readonly string[];
  readonly interfaces: readonly Interface[];
  readonly routes: readonly Route[];
  /** Content of /etc/hosts and /etc/resolv.conf. */
  readonly hosts: string;
  readonly resolver: string;
}

export async function attachWorkload(
  context: NetworkContext,
  id: string,
  unavailable: string | undefined,
  prepared: string | undefined,
): Promise<Connection> {
  const found = (): NetworkNamespace =>
    (prepared === undefined ? undefined : adoptNamespace(prepared)) ?? newNamespace();
  const record = requireWorkload(context, id);
  switch (modeOf(record.request)) {
    case "host":
      return bare(undefined, startFilesOf(context, record));
    case "none":
      return connectionOf(context, record, found());
    case "container":
      return joinOther(context, record);
    case "bridges":
      break;
  }
  if (unavailable === undefined) return await attachToBridges(context, record, found);
  // Nobody asked for a network: the client was told when the workload was created.
  const { mode, ports, publishAll } = record.request;
  const policy = policyWord(record.request) !== undefined;
  if (mode !== "default" || ports.length > 0 || publishAll || policy || record.endpoints.length > 1)
    throw new HullError("networkUnavailable", { why: unavailable });
  return connectionOf(context, { ...record, endpoints: [] }, found());
}

async function attachToBridges(
  context: NetworkContext,
  before: WorkloadRecord,
  found: () => NetworkNamespace,
): Promise<Connection> {
  const { records } = context;
  await using undo = new AsyncDisposableStack();
  // From here on the networks are in use, so that nobody takes them down.
  records.putWorkload({ ...before, live: true });
  undo.defer(() => detachWorkload(context, before.id));
  for (const { network } of before.endpoints) await raiseNetwork(context, network);
  const present = requireWorkload(context, before.id);
  const fresh = { ...present, endpoints: present.endpoints.map(withNewLink) };
  const record: WorkloadRecord = {
    ...fresh,
    live: true,
    endpoints: allocate(context, fresh),
    queue: isLimited(fresh) ? newQueueNumber() : undefined,
  };
  records.putWorkload(record);
  const held = holdBound(context, record, bindings(record));
  await protect(context, record, record.endpoints);
  const namespace = found();
  try {
    plugIn(namespace, plugsOf(context, record.endpoints), {
      host: context.socket,
      tag: context.tag,
      configure: record.wall === "container",
      wayOut: wayOutOf(context, record.endpoints),
    });
    tuneCables(context, record);
    await context.firewall.change("add", held.redirects);
    const connection = connectionOf(context, requireWorkload(context, before.id), namespace);
    undo.move();
    return connection;
  } catch (error) {
    namespace[Symbol.dispose]();
    throw error;
  }
}

/** Takes the ports and records them. */
function holdBound(context: NetworkContext, record: WorkloadRecord, requests: ReturnType<typeof bindings>) {
  const held = holdPorts(boundTo(hostAddressOf(context, record), requests), targetOf(context, record));
  context.ports.set(record.id, held);
  if (held.bound.length > 0) context.records.putWorkload({ ...record, bound: held.bound });
  return held;
}

/** The endpoint that published ports lead to: the way out. */
export function targetOf(context: NetworkContext, record: WorkloadRecord) {
  const { four, six } = wayOutEndpoints(context, record);
  return { address4: four?.address4, address6: six?.address6 };
}

/** Where ports are bound that name no address: the network that they lead to says. */
export function hostAddressOf(context: NetworkContext, record: WorkloadRecord): string {
  const { four, six } = wayOutEndpoints(context, record);
  const network = context.records.networks.get((four ?? six)?.network ?? "");
  return network === undefined ? "" : defaultHostAddress(network);
}

function wayOutEndpoints(context: NetworkContext, record: WorkloadRecord) {
  const wayOut = wayOutOf(context, record.endpoints);
  const named = (name: string | undefined): EndpointRecord | undefined =>
    record.endpoints.find((endpoint) => endpoint.interface === name);
  return { four: named(wayOut[4]), six: named(wayOut[6]) };
}

/** An old pair may still be on its way out, so each start has one of its own. */
function withNewLink(endpoint: EndpointRecord): EndpointRecord {
  const random = Buffer.from(crypto.getRandomValues(new Uint8Array(6))).toString("hex");
  return { ...endpoint, hostLink: `hv${random}` };
}

export function plugsOf(context: NetworkContext, endpoints: readonly EndpointRecord[]): Plug[] {
  return endpoints.flatMap((endpoint) => {
    const network = context.records.networks.get(endpoint.network);
    if (network === undefined || !context.bridges.isUp(network.id)) return [];
    return [{ endpoint, network, bridge: context.bridges.raise(network).bridge.index }];
  });
}

export function interfacesOf(context: NetworkContext, record: WorkloadRecord): Interface[] {
  const wayOut = wayOutOf(context, record.endpoints);
  return record.endpoints.flatMap((endpoint) => {
    const network = context.records.networks.get(endpoint.network);
    return network === undefined ? [] : [interfaceOf({ endpoint, network, bridge: 0 }, wayOut)];
  });
}

export async function detachWorkload(context: NetworkContext, id: string): Promise<void> {
  const { records, ports, firewall } = context;
  const record = records.workloads.get(id);
  if (record === undefined) return;
  const held = ports.get(id);
  ports.delete(id);
  if (held !== undefined) await firewall.change("delete", held.redirects);
  held?.[Symbol.dispose]();
  if (!record.live) return;
  await lift(context, id);
  // The kernel takes the cables away with the last process of the namespace; what it has not is looked for later.
  sweepLater(context, linksOf(record));
  const rests = { ...record, live: false, bound: [] };
  records.putWorkload(rests);
  sizeSegments(context, rests);
}

/** Joins the namespace of another workload that runs. */
function joinOther(context: NetworkContext, record: WorkloadRecord): Connection {
  const id = record.request.mode.slice("container:".length);
  const pid = context.processOf(id);
  const target = context.records.workloads.get(id);
  if (pid === undefined || target === undefined)
    throw new HullError("conflict", {
      what: `cannot join network namespace of container ${target?.name ?? id}: it is not running`,
    });
  if (target.wall === "vm")
    throw new HullError("unsupported", {
      what: `the network of container ${target.name}`,
      where: " for a container",
      why: "a virtual machine's network stack is in the machine: put both on one network",
    });
  if (modeOf(target.request) === "host") return bare(undefined, filesOf(context, target));
  return bare(`/proc/${pid}/ns/net`, filesOf(context, target));
}

/** A place that is there already. */
function bare(namespace: string | undefined, files: { hosts: string; resolver: string }): Connection {
  return { namespace, taps: [], interfaces: [], routes: [], ...files, [Symbol.dispose]() {} };
}

function connectionOf(
  context: NetworkContext,
  record: WorkloadRecord,
  namespace: NetworkNamespace,
): Connection {
  const interfaces = interfacesOf(context, record);
  return {
    namespace: namespace.path,
    taps: [],
    interfaces,
    routes: routesOf(interfaces),
    ...startFilesOf(context, record),
    [Symbol.dispose]: () => namespace[Symbol.dispose](),
  };
}

interface NetworkFiles {
  readonly hosts: string;
  readonly resolver: string;
}

/** For a workload that is about to start, which is to have all that was asked for. */
function startFilesOf(context: NetworkContext, record: WorkloadRecord): NetworkFiles {
  const facts = factsOf(context, record);
  requireExtraHosts(record, facts);
  return { hosts: hostsFile(record, facts), resolver: resolverFile(record, facts) };
}

/** For a workload whose networks come and go: what these have no address for is left out until they do. */
export function filesOf(context: NetworkContext, record: WorkloadRecord): NetworkFiles {
  const facts = factsOf(context, record);
  return { hosts: hostsFile(record, facts), resolver: resolverFile(record, facts) };
}

function factsOf(context: NetworkContext, record: WorkloadRecord): FileFacts {
  const networks = record.endpoints.flatMap(({ network }) => context.records.networks.get(network) ?? []);
  const gateways = networks
    .filter(({ id }) => context.resolvers.isOpen(id))
    .flatMap(({ subnets }) => subnets.map(({ gateway }) => gateway));
  const outward = networks.find(({ internal }) => !internal);
  const host = modeOf(record.request) === "host";
  return {
    hostAddress: host ? "127.0.0.1" : outward?.subnets[0]?.gateway,
    resolvers: gateways,
    hostResolver: readHostResolver(),
    keepLocal: host,
  };
}

function readHostResolver(): string {
  try {
    return readFileSync("/etc/resolv.conf", "utf8");
  } catch {
    return "";
  }
}

export function requireWorkload(context: NetworkContext, id: string): WorkloadRecord {
  const record = context.records.workloads.get(id);
  if (record === undefined)
    throw new HullError("internal", { what: `workload ${id.slice(0, 12)} is unknown to the networks` });
  return record;
}

/** Puts in order what an earlier daemon left. */
export async function recoverWorkloads(
  context: NetworkContext,
  running: ReadonlySet<string>,
  known: ReadonlySet<string>,
): Promise<void> {
  const { records, bridges, log, firewall } = context;
  for (const found of [...records.workloads.values()]) {
    if (!known.has(found.id)) {
      records.deleteWorkload(found.id);
      continue;
    }
    if (!found.live) continue;
    if (!running.has(found.id)) {
      records.putWorkload({ ...found, live: false, bound: [] });
      context.egress.delete(found.id);
      continue;
    }
    const record = withoutHalfJoined(found);
    if (record !== found) records.putWorkload(record);
    try {
      // First of all: whatever else fails, the rules that are written below say what it may do.
      await adoptProtection(context, record);
      for (const { network } of record.endpoints) await reopenNetwork(context, network);
      // Somebody may have taken the bridge away meanwhile.
      plugAgain(plugsOf(context, record.endpoints), context.socket);
      await restrict(context, record);
      context.ports.set(record.id, holdPorts(record.bound.map(asRequest), targetOf(context, record)));
      tuneCables(context, record);
    } catch (error) {
      log.error("a workload's networks could not be put in order", { id: record.id, why: messageOf(error) });
    }
  }
  const wanted = new Set([...records.workloads.values()].filter(({ live }) => live).flatMap(linksOf));
  const networks = new Map([...records.networks.values()].map((network) => [network.bridge, network.id]));
  for (const { name, kind } of bridges.own()) {
    const network = networks.get(name);
    const needed = kind === "bridge" ? network !== undefined && bridges.isUp(network) : wanted.has(name);
    if (!needed) bridges.removeLink(name);
  }
  // Some may have answered on for workloads that have gone meanwhile.
  for (const id of records.networks.keys()) if (!bridges.isUp(id)) context.resolvers.close(id);
  if (bridges.any) await firewall.establishAgain();
  else await clearFilter(context);
}

/** A connection that the dead daemon had recorded and given no address yet: nobody was told of it. */
function withoutHalfJoined(record: WorkloadRecord): WorkloadRecord {
  const last = record.endpoints.at(-1);
  if (last === undefined || last.hardware !== undefined) return record;
  return { ...record, endpoints: record.endpoints.slice(0, -1) };
}

/** A table that a dead daemon left. nft is not asked for when there never was one. */
async function clearFilter(context: NetworkContext): Promise<void> {
  if (context.forwarding.everUsed) await context.firewall.remove();
  await lowerIdleNetworks(context);
}

/** Brings up a network of a workload that runs: where it was, whatever else is there. */
async function reopenNetwork(context: NetworkContext, id: string): Promise<void> {
  const network = context.records.networks.get(id);
  if (network === undefined) return;
  context.bridges.raise(network);
  turnForwardingOn(context, [network]);
  await context.resolvers.open(network);
}

function linksOf(record: WorkloadRecord): string[] {
  return [...record.endpoints.map(({ hostLink }) => hostLink), ...Object.values(queuesOf(record))];
}
