/**
 * The packet filter's rules: a pure function from what is connected to a script for nft. Everything is in one table
 * of this daemon's own; other tables are neither read nor written.
 *
 * What the rules say
 * - Published ports of local addresses are led to the workload, for packets from outside, from the host itself and
 *   from workloads (whose own address is then hidden behind the gateway's, or the answer would not come back this way).
 * - A network is reached from outside and from other networks through published ports only.
 * - Packets to the world leave with the host's address. An internal network's do not leave.
 * - Nobody on a network reaches the host's loopback addresses, although those may be sent to workloads, and nobody
 *   passes for one: a bridge that answers go out by takes both (route_localnet).
 * - Nothing leaves, and nothing reaches the host, that says it came from elsewhere: its sender is an address of a
 *   network's. Or a workload could pass for whoever the host asks something.
 * - From an internal network the host is reached at gateway addresses only.
 * - Resolvers answer workloads only.
 * - What comes in frames of link protocols is from a bridge's port instead of the bridge, which rules about bridges would miss: no
 *   packet is taken from there.
 *
 * Every packet goes through the filter chains. Those between neighbours are not tracked (guard.ts), and come by here only because
 * of br_netfilter. What belongs to a connection is through with the first rule of `forward`: its
 * first packet was judged, and who sends the others is the guard's to know (guard.ts). The chains of nat see first packets only.
 */
import type { BoundPort } from "../records/types.ts";

export interface BridgeRules {
  readonly name: string;
  /** Of interfaces, that no other one is in. */
  readonly group: number;
  readonly internal: boolean;
  readonly subnets4: readonly string[];
  readonly subnets6: readonly string[];
  /** Hides workloads behind the host's address. */
  readonly masquerade: boolean;
  readonly gateways4: readonly string[];
  readonly gateways6: readonly string[];
  /** Port that the resolver listens on, if it is another than 53. */
  readonly resolverPort?: number | undefined;
}

/** A published port and where it leads. */
export interface Redirect {
  readonly bound: BoundPort;
  readonly address: string;
}

export interface RuleFacts {
  readonly table: string;
  readonly bridges: readonly BridgeRules[];
  readonly redirects: readonly Redirect[];
  /** Families that Hull turned forwarding on for: what it does not concern is not forwarded now either. */
  readonly forwardingIsOurs: readonly (4 | 6)[];
}

export function ruleset(facts: RuleFacts): string {
  const { table, bridges } = facts;
  const names = bridges.map(({ name }) => quoted(name));
  const internal = bridges.filter((bridge) => bridge.internal).map(({ name }) => quoted(name));
  const masked = bridges.filter((bridge) => bridge.masquerade && !bridge.internal);
  const resolvers = bridges.filter(({ resolverPort }) => resolverPort !== undefined);
  const every4 = bridges.flatMap(({ subnets4 }) => subnets4);
  const every6 = bridges.flatMap(({ subnets6 }) => subnets6);
  return [
    // Made and emptied first, so that the whole replaces what was there in one step.
    `table inet ${table}`,
    `delete table inet ${table}`,
    `table inet ${table} {`,
    set("bridges", "ifname", names),
    set("internal", "ifname", internal),
    set(
      "same",
      "ifname . ifname",
      names.map((name) => `${name} . ${name}`),
    ),
    // Two names are 32 bytes, and looking for them was a quarter of what the rules cost a packet between neighbours. Indexes would
    // do, but are listed as names, which are refused where there is no such interface: who saved the rules could not load them.
    set(
      "sameGroup",
      "devgroup . devgroup",
      bridges.map(({ group }) => `${group} . ${group}`),
    ),
    set("subnets4", "ipv4_addr", every4, "interval"),
    set("subnets6", "ipv6_addr", every6, "interval"),
    set(
      "masquerade4",
      "ipv4_addr",
      masked.flatMap(({ subnets4 }) => subnets4),
      "interval",
    ),
    set(
      "masquerade6",
      "ipv6_addr",
      masked.flatMap(({ subnets6 }) => subnets6),
      "interval",
    ),
    set(
      "gateways4",
      "ipv4_addr",
      bridges.flatMap(({ gateways4 }) => gateways4),
    ),
    set(
      "gateways6",
      "ipv6_addr",
      bridges.flatMap(({ gateways6 }) => gateways6),
    ),
    map(
      "resolvers4",
      "ipv4_addr : inet_service",
      resolvers.flatMap(({ gateways4, resolverPort }) =>
        gateways4.map((gateway) => `${gateway} : ${resolverPort}`),
      ),
    ),
    map(
      "resolvers6",
      "ipv6_addr : inet_service",
      resolvers.flatMap(({ gateways6, resolverPort }) =>
        gateways6.map((gateway) => `${gateway} : ${resolverPort}`),
      ),
    ),
    ...publishedMaps.map(({ name, type }) =>
      map(
        name,
        type,
        elementsOf(facts.redirects)
          .filter((one) => one.map === name)
          .map(({ element }) => element),
      ),
    ),
    askers("asking4", "ipv4_addr"),
    askers("asking6", "ipv6_addr"),
    chains(facts),
    "}",
    "",
  ].join("\n");
}

export function noTable(table: string): string {
  return `table inet ${table}\ndelete table inet ${table}\n`;
}

/** Publishes, or no longer publishes, while everything else stays as it is. */
export function redirectChange(
  table: string,
  change: "add" | "delete",
  redirects: readonly Redirect[],
): string {
  return publishedMaps
    .map(({ name }) => {
      const elements = elementsOf(redirects).filter((one) => one.map === name);
      if (elements.length === 0) return "";
      const add = `add element inet ${table} ${name} { ${elements.map(({ element }) => element).join(", ")} }\n`;
      // Adding twice is no mistake, deleting what is not there would be one.
      const keys = elements.map(({ key }) => key).join(", ");
      return change === "add" ? add : `${add}delete element inet ${table} ${name} { ${keys} }\n`;
    })
    .join("");
}

const publishedMaps = [
  { name: "published4", type: "ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service" },
  { name: "anywhere4", type: "inet_proto . inet_service : ipv4_addr . inet_service" },
  { name: "published6", type: "ipv6_addr . inet_proto . inet_service : ipv6_addr . inet_service" },
  { name: "anywhere6", type: "inet_proto . inet_service : ipv6_addr . inet_service" },
] as const;

interface Element {
  readonly map: (typeof publishedMaps)[number]["name"];
  readonly key: string;
  readonly element: string;
}

function elementsOf(redirects: readonly Redirect[]): Element[] {
  return redirects.map(({ bound, address }) => {
    const six = address.includes(":");
    const anywhere = bound.hostAddress === "0.0.0.0" || bound.hostAddress === "::";
    const port = `${bound.protocol} . ${bound.hostPort}`;
    const key = anywhere ? port : `${bound.hostAddress} . ${port}`;
    const map = `${anywhere ? "anywhere" : "published"}${six ? "6" : "4"}` as const;
    return { map, key, element: `${key} : ${address} . ${bound.port}` };
  });
}

// A port of every address and the same one of a certain address exclude each other (ports/ports.ts): the usual ones are looked for first.
function chains({ bridges, forwardingIsOurs }: RuleFacts): string {
  const internal = bridges.some((bridge) => bridge.internal);
  const questions = [...new Set(bridges.map(({ resolverPort }) => resolverPort ?? 53))].join(", ");
  return `  chain publish {
    dnat ip to meta l4proto . th dport map @anywhere4
    dnat ip to ip daddr . meta l4proto . th dport map @published4
    ip6 daddr != ::1 dnat ip6 to meta l4proto . th dport map @anywhere6
    ip6 daddr != ::1 dnat ip6 to ip6 daddr . meta l4proto . th dport map @published6
  }
  chain begun {
    ip daddr 127.0.0.0/8 drop
    ip saddr 127.0.0.0/8 drop
    meta l4proto { tcp, udp } th dport 53 redirect to ip daddr map @resolvers4
    meta l4proto { tcp, udp } th dport 53 redirect to ip6 daddr map @resolvers6
  }
  chain prerouting {
    type nat hook prerouting priority dstnat; policy accept;
    iifname @bridges jump begun
    fib daddr type local jump publish
  }
  chain output {
    type nat hook output priority -100; policy accept;
    fib daddr type local jump publish
  }
  chain outward {
    ip saddr @masquerade4 masquerade
    ip6 saddr @masquerade6 masquerade
  }
  chain inward {
    ip saddr @subnets4 masquerade
    ip6 saddr @subnets6 masquerade
    ip saddr 127.0.0.0/8 masquerade
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    oifname != @bridges goto outward
    ct status dnat goto inward
  }
  chain between {
    iifname . oifname @same accept
    iifname @internal drop
    ct status dnat accept
    drop
  }
  chain leaving {
    oifname @bridges goto between
    ip saddr != @subnets4 drop
    ip6 saddr != @subnets6 drop
${internal ? "    iifname @internal drop\n" : ""}  }
  chain entering {
    ct status dnat accept
    drop
  }
  chain forward {
    type filter hook forward priority filter; policy accept;
    ct state established,related accept
    ct state untracked iifgroup . oifgroup @sameGroup accept
    iifname @bridges goto leaving
    oifname @bridges goto entering
${forwardingIsOurs.map(keepStill).join("")}  }
  chain asking {
    ip daddr @gateways4 update @asking4 { ip saddr ${tooMany} } drop
    ip6 daddr @gateways6 update @asking6 { ip6 saddr ${tooMany} } drop
  }
  chain loopback {
    ct direction reply accept
    drop
  }
  chain arriving {
    ip saddr != @subnets4 drop
    ip6 saddr != @subnets6 ip6 saddr != { ::, fe80::/10 } drop
${internal ? inside : ""}    ip daddr 127.0.0.0/8 jump loopback
${questions === "" ? "" : `    udp dport { ${questions} } jump asking\n`}  }
  chain strangers {
    ip daddr @gateways4 drop
    ip6 daddr @gateways6 drop
  }
  chain input {
    type filter hook input priority filter; policy accept;
    iifname @bridges goto arriving
    meta pkttype multicast iifname "hv*" drop
    meta l4proto { tcp, udp } th dport 53 iifname != "lo" jump strangers
  }`;
}

const inside = `    iifname @internal ip daddr != @gateways4 fib daddr type local drop
    iifname @internal ip6 daddr != @gateways6 ip6 daddr != fe80::/10 fib daddr type local drop
`;

/**
 * Packets between interfaces that are no Hull's, this daemon's or another's. Frames that another bridge passes from one
 * of its ports to the next come by here as well (br_netfilter), with that bridge on both sides: they are not routed.
 */
function keepStill(family: 4 | 6): string {
  const foreign = `    meta nfproto ipv${family} iifname != @bridges iifname != "hull*"`;
  return `${foreign} meta iifkind != "bridge" drop\n${foreign} meta oifkind != "bridge" drop\n`;
}

/** The daemon answers questions for names by itself: one workload must not keep it from everything else. */
const tooMany = "limit rate over 2000/second burst 5000 packets";

function askers(name: string, type: string): string {
  return `  set ${name} { type ${type}; flags dynamic; timeout 10s; size 65535; }`;
}

function set(name: string, type: string, elements: readonly string[], flags?: string): string {
  const flagText = flags === undefined ? "" : ` flags ${flags};`;
  return `  set ${name} { type ${type};${flagText}${elementText(elements)} }`;
}

function map(name: string, type: string, elements: readonly string[]): string {
  return `  map ${name} { type ${type};${elementText(elements)} }`;
}

function elementText(elements: readonly string[]): string {
  return elements.length === 0 ? "" : ` elements = { ${elements.join(", ")} }`;
}

function quoted(name: string): string {
  return `"${name}"`;
}
