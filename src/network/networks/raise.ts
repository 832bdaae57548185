/** Networks coming up with their first workload, and going down when nobody needs them. */
import { HullError, messageOf } from "../../contract/errors.ts";
import { formatSubnet, requireSubnet, type Subnet } from "../addresses/address.ts";
import { chooseSubnet, type Pool, planSubnet } from "../addresses/ipam.ts";
import type { RuleFacts } from "../firewall/rules.ts";
import { type Bridge, bridgeRulesOf } from "../links/bridges.ts";
import type { NetworkRecord, SubnetRecord } from "../records/types.ts";
import type { NetworkContext } from "./context.ts";

/** Makes sure that the network is up; its rules hold once the promise has resolved. */
export async function raiseNetwork(context: NetworkContext, id: string): Promise<Bridge> {
  const network = settled(context, id);
  const { bridge, made } = context.bridges.raise(network);
  if (made) {
    const work = bringUp(context, network).finally(() => context.raising.delete(id));
    context.raising.set(id, work);
  }
  // Another start may be bringing it up.
  await context.raising.get(id);
  return bridge;
}

async function bringUp(context: NetworkContext, network: NetworkRecord): Promise<void> {
  const { bridges, resolvers, firewall, forwarding } = context;
  try {
    turnForwardingOn(context, [network]);
    forwarding.noteRules(true);
    await resolvers.open(network);
    await firewall.establish();
  } catch (error) {
    bridges.lower(network);
    resolvers.close(network.id);
    throw new HullError("networkUnavailable", { why: messageOf(error) }, { cause: error });
  }
}

/** A network whose subnets Hull chose moves out of the way of routes that came up since, while nobody is on it. */
function settled(context: NetworkContext, id: string): NetworkRecord {
  const { records, bridges } = context;
  const network = records.networks.get(id);
  if (network === undefined) throw new HullError("noSuchNetwork", { name: id.slice(0, 12) });
  if (bridges.isUp(id)) return network;
  const family = bridges.collision(network);
  if (family === undefined) return network;
  const asked = [...records.workloads.values()].some((workload) =>
    workload.endpoints.some(
      (endpoint) =>
        endpoint.network === id &&
        (endpoint.ipv4 !== undefined || context.processOf(workload.id) !== undefined),
    ),
  );
  const others = records.networks;
  const subnets = network.subnets.map(({ subnet }) => subnet).join(", ");
  if (!network.automatic || asked)
    throw new HullError("networkUnavailable", {
      why: `the subnets of network ${network.name} (${subnets}) overlap with a route of the host: remove the network and make it with another --subnet`,
    });
  const moved = { ...network, subnets: chooseSubnets(context, network.ipv6, others.values(), id) };
  records.putNetwork(moved);
  context.log.warn("a network moved: a route of the host leads to where it was", {
    network: network.name,
    before: subnets,
    after: moved.subnets.map(({ subnet }) => subnet).join(", "),
  });
  return moved;
}

/** Subnets that nothing else has, for a network that was given none. */
export function chooseSubnets(
  context: Pick<NetworkContext, "bridges" | "pools" | "pool6">,
  ipv6: boolean,
  networks: Iterable<NetworkRecord>,
  except?: string,
): SubnetRecord[] {
  const others = [...networks].filter(({ id }) => id !== except);
  const own = new Set(others.map(({ bridge }) => bridge));
  const taken = [
    ...others.flatMap(({ subnets }) => subnets.map(({ subnet }) => requireSubnet(subnet, "subnet"))),
    ...context.bridges.hostSubnets(own),
  ];
  const four = planSubnet({ subnet: chooseText(context.pools, taken) });
  return ipv6 ? [four, planSubnet({ subnet: chooseText([context.pool6], taken) })] : [four];
}

function chooseText(pools: readonly Pool[], taken: readonly Subnet[]): string {
  return formatSubnet(chooseSubnet(pools, taken));
}

/** Whether it was off for a family that the networks need. */
export function turnForwardingOn(
  { forwarding }: Pick<NetworkContext, "forwarding">,
  networks: readonly NetworkRecord[],
): boolean {
  const outward = networks.filter(({ internal }) => !internal);
  const four = outward.length > 0 && forwarding.turnOn(4);
  const six = outward.some(({ ipv6 }) => ipv6) && forwarding.turnOn(6);
  return four || six;
}

export function lowerNetwork(context: NetworkContext, network: NetworkRecord): void {
  context.resolvers.close(network.id);
  if (context.bridges.isUp(network.id)) context.bridges.lower(network);
}

/** Takes down every network that no live workload is on; with the last one goes the rest of what the host was given. */
export async function lowerIdleNetworks(context: NetworkContext): Promise<void> {
  const { records, bridges, firewall, forwarding } = context;
  const used = networksInUse(records);
  for (const network of records.networks.values())
    if (bridges.isUp(network.id) && !used.has(network.id)) lowerNetwork(context, network);
  if (bridges.any) return;
  try {
    if (firewall.stands) await firewall.remove();
    if (!bridges.any) forwarding.noteRules(false);
  } finally {
    // A network may have come up while nft was at work.
    if (!bridges.any) forwarding.turnOff(bridges.othersAreUp());
  }
}

/** The resolvers of networks whose bridge an earlier daemon left for workloads that may run. */
export async function openResolversAgain({
  records,
  bridges,
  resolvers,
  log,
}: NetworkContext): Promise<void> {
  const used = networksInUse(records);
  const there = new Set(bridges.own().map(({ name }) => name));
  for (const network of records.networks.values())
    if (used.has(network.id) && there.has(network.bridge))
      try {
        await resolvers.open(network);
      } catch (error) {
        // Somebody changed the bridge: it is looked at when workloads have been found again.
        log.debug("a resolver has to wait", { network: network.name, why: messageOf(error) });
      }
}

function networksInUse(records: NetworkContext["records"]): Set<string> {
  const live = [...records.workloads.values()].filter((workload) => workload.live);
  return new Set(live.flatMap(({ endpoints }) => endpoints.map(({ network }) => network)));
}

/** What the packet filter is to say now. */
export function ruleFacts(
  context: Pick<NetworkContext, "records" | "bridges" | "resolvers" | "ports" | "forwarding">,
): Omit<RuleFacts, "table"> {
  const { records, bridges, resolvers, ports, forwarding } = context;
  return {
    bridges: [...records.networks.values()].flatMap((network) => {
      const bridge = bridges.bridgeOf(network.id);
      return bridge === undefined ? [] : [bridgeRulesOf(network, bridge, resolvers.portOf(network.id))];
    }),
    redirects: [...ports.values()].flatMap(({ redirects }) => redirects),
    forwardingIsOurs: forwarding.ours,
  };
}
