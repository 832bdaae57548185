/**
 * The packet filter's rules about what restricted workloads may reach: a pure function to a script for nft, in a table
 * of its own (`inet TABLE-egress`), of which only what belongs to a restricted workload that comes, goes or changes is written.
 *
 * - What is judged is what a workload begins by itself: answers to who reached it by a published port pass, and what
 *   stays on one network (neighbours) is not looked at. A neighbour's published port is the host's address.
 * - The destination is the one that the workload wrote, before a published port led it elsewhere.
 * - Who it is, is told by bridge and source address: the guard (firewall/guard.ts) lets no port use another's.
 * - What is not allowed is rejected, so that programs hear of it at once.
 */
import { formatSubnet } from "../addresses/address.ts";
import { hostNames } from "../dns/names.ts";
import { type Allowed, type Reach, reachText } from "./allow-list.ts";

export interface Restriction {
  /** Of the workload. */
  readonly id: string;
  /** Its addresses, each on the bridge it is seen by. */
  readonly sources: readonly { readonly bridge: string; readonly address: string }[];
  /** Where Hull's resolver answers it. */
  readonly resolvers: readonly string[];
  /** What host.docker.internal and its like stand for. */
  readonly hostAddresses: readonly string[];
  readonly allowed: readonly Allowed[];
}

/** The set of what names led to that are allowed with a reach. */
export interface ReachSet {
  readonly set: string;
  readonly six: boolean;
  readonly reach: Reach;
}

/** Addresses that allowed names led to, and for how many milliseconds more. */
export type Granted = (
  restriction: Restriction,
  set: ReachSet,
) => Iterable<readonly [address: string, left: number]>;

export function egressTable(table: string): string {
  return `${table}-egress`;
}

/** The whole table anew, whatever was there. */
export function egressRuleset(table: string, restrictions: readonly Restriction[], granted: Granted): string {
  const name = egressTable(table);
  const fresh = `table inet ${name}\ndelete table inet ${name}\n`;
  if (restrictions.length === 0) return fresh;
  return fresh + tableText(name, restrictions, restrictions, granted);
}

/**
 * Makes the table of what was restricted `before` that of what is `now`: rules and sets of workloads that are the same
 * objects in both stay as they are.
 */
export function egressChange(
  table: string,
  before: readonly Restriction[],
  now: readonly Restriction[],
  granted: Granted,
): string {
  if (before.length === 0 || now.length === 0) return egressRuleset(table, now, granted);
  const name = egressTable(table);
  const [old, wanted] = [new Set(before), new Set(now)];
  const removals = before
    .filter((restriction) => !wanted.has(restriction))
    .flatMap((restriction) => [
      `flush chain inet ${name} ${chainOf(restriction.id)}\n`,
      `delete chain inet ${name} ${chainOf(restriction.id)}\n`,
      ...setsOf(restriction).map(({ set }) => `delete set inet ${name} ${set}\n`),
    ]);
  const emptied = ["judge", "forward", "input"].map((chain) => `flush chain inet ${name} ${chain}\n`);
  const added = now.filter((restriction) => !old.has(restriction));
  return [...emptied, ...removals, tableText(name, now, added, granted)].join("");
}

/** `written`: those whose own rules are to be in the text; all of them are led to. */
function tableText(
  name: string,
  restrictions: readonly Restriction[],
  written: readonly Restriction[],
  granted: Granted,
): string {
  const sources = restrictions.flatMap((restriction) =>
    restriction.sources.map((source) => ({ ...source, chain: chainOf(restriction.id) })),
  );
  const bridges = [...new Set(sources.map(({ bridge }) => bridge))];
  const verdicts = (six: boolean): string =>
    sources
      .filter(({ address }) => address.includes(":") === six)
      .map(({ bridge, address, chain }) => `"${bridge}" . ${address} : jump ${chain}`)
      .join(", ");
  const jump = (expression: string, elements: string): string =>
    elements === "" ? "" : `    iifname . ${expression} vmap { ${elements} }\n`;
  const same = bridges.map((bridge) => `"${bridge}" . "${bridge}"`).join(", ");
  return `table inet ${name} {
${written.map((restriction) => chainText(restriction, granted)).join("")}  chain judge {
${jump("ip saddr", verdicts(false))}${jump("ip6 saddr", verdicts(true))}  }
  chain forward {
    type filter hook forward priority filter - 1; policy accept;
    ct state established,related accept
    ct status dnat jump judge
${same === "" ? "" : `    iifname . oifname { ${same} } accept\n`}    jump judge
  }
  chain input {
    type filter hook input priority filter - 1; policy accept;
    ct state established,related accept
    jump judge
  }
}
`;
}

function chainOf(id: string): string {
  return `w-${id.slice(0, 12)}`;
}

/** The sets of a workload's names: one for each reach and family. */
export function setsOf({ id, allowed }: Restriction): ReachSet[] {
  const reaches = new Map(
    allowed.filter(({ kind }) => kind === "name").map(({ reach }) => [reachText(reach), reach]),
  );
  return [...reaches.values()].flatMap((reach, index) =>
    [false, true].map((six) => ({ set: `${chainOf(id)}-${index}-${six ? 6 : 4}`, six, reach })),
  );
}

/** The kernel counts those that have run out until it has swept them. */
const largestSet = 8192;

function chainText(restriction: Restriction, granted: Granted): string {
  const sets = setsOf(restriction);
  const setText = (reachSet: ReachSet): string => {
    const { set, six } = reachSet;
    const elements = [...granted(restriction, reachSet)].map(
      ([address, left]) => `${address} timeout ${Math.max(1, Math.ceil(left / 1000))}s`,
    );
    const listed = elements.length === 0 ? "" : ` elements = { ${elements.join(", ")} }`;
    return `  set ${set} { type ipv${six ? 6 : 4}_addr; flags timeout; size ${largestSet};${listed} }\n`;
  };
  const resolver: Reach = { ports: { first: 53, last: 53 } };
  return [
    ...sets.map(setText),
    `  chain ${chainOf(restriction.id)} {\n`,
    ...restriction.resolvers.map((address) => passText(address.includes(":"), address, resolver)),
    // Finding the gateway, and telling switches which groups are wanted.
    "    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit, mld2-listener-report } return\n",
    ...restriction.allowed.flatMap((allowed) => staticPasses(allowed, restriction)),
    ...sets.map(({ set, six, reach }) => passText(six, `@${set}`, reach)),
    // The kernel sends so many ICMP messages a second, and as many resets as it takes.
    "    meta l4proto tcp reject with tcp reset\n    reject with icmpx admin-prohibited\n  }\n",
  ].join("");
}

/** What needs no resolver. */
function staticPasses(allowed: Allowed, { hostAddresses }: Restriction): string[] {
  if (allowed.kind === "subnet")
    return [passText(allowed.subnet.family === 6, formatSubnet(allowed.subnet), allowed.reach)];
  if (allowed.wildcard || !hostNames.has(allowed.name)) return [];
  return hostAddresses.map((address) => passText(address.includes(":"), address, allowed.reach));
}

function passText(six: boolean, destination: string, { protocol, ports }: Reach): string {
  const transport =
    protocol === undefined
      ? ports === undefined
        ? ""
        : " meta l4proto { tcp, udp, sctp }"
      : ` meta l4proto ${protocol === "icmp" ? "{ icmp, ipv6-icmp }" : protocol}`;
  const range = ports === undefined ? "" : ` ct original proto-dst ${ports.first}-${ports.last}`;
  return `    ct original ${six ? "ip6" : "ip"} daddr ${destination}${transport}${range} return\n`;
}
