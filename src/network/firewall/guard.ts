/**
 * What a workload's port of a bridge may send: frames of its own hardware address, with its own Internet addresses as
 * sender, and answers about those only. A pure function to a script for nft; the table is one of the bridge family and of
 * this daemon's own. What is not IPv4, IPv6 or ARP is refused (VLAN tags too), and so is what only routers say.
 *
 * Ports are elements of sets, so that one more is no rule more.
 *
 * What goes from one port to another, by that one's hardware address, is not tracked as a connection: nothing is ever decided by that
 * (only what leaves a network is judged), and where br_netfilter hands bridged packets to the Internet protocols' hooks, tracking
 * would be the dearest of them.
 */
import { macBytes } from "../../host/network/links.ts";
import { interfaceKey, keyBytes, type SetElement } from "../../host/network/nft-elements.ts";
import { addressOfBytes, bytesOfText, formatAddress } from "../addresses/address.ts";
import type { EndpointRecord } from "../records/types.ts";

export interface GuardedPort {
  /** The host's end of the cable. */
  readonly link: string;
  readonly hardware: string;
  readonly addresses: readonly string[];
}

export const guardSets = ["ports", "hardware", "senders4", "senders6", "targets6", "neighbours"] as const;
export type GuardSet = (typeof guardSets)[number];

export function guardedPort({
  hostLink,
  hardware,
  address4,
  address6,
}: EndpointRecord): GuardedPort | undefined {
  if (hardware === undefined) return undefined;
  const given = [address4, address6].filter((address) => address !== undefined);
  return { link: hostLink, hardware, addresses: [...given, linkLocalOf(hardware)] };
}

/** RFC 4291, appendix A: the address that a kernel makes of a hardware address. */
export function linkLocalOf(hardware: string): string {
  const mac = macBytes(hardware);
  const bytes = Buffer.concat([
    Buffer.of(0xfe, 0x80, 0, 0, 0, 0, 0, 0),
    Buffer.of((mac[0] ?? 0) ^ 2, mac[1] ?? 0, mac[2] ?? 0, 0xff, 0xfe, mac[3] ?? 0, mac[4] ?? 0, mac[5] ?? 0),
  ]);
  return formatAddress(addressOfBytes(bytes));
}

export function guardElements(ports: readonly GuardedPort[]): Record<GuardSet, SetElement[]> {
  const link = (port: GuardedPort): Buffer => interfaceKey(port.link);
  const hardware = (port: GuardedPort): Buffer => macBytes(port.hardware);
  const addressed = (six: boolean, key: (port: GuardedPort) => Buffer[]): SetElement[] =>
    ports.flatMap((port) =>
      port.addresses
        .filter((text) => text.includes(":") === six)
        .map((text) => ({ key: [...key(port), bytesOfText(text, "address")] })),
    );
  return {
    ports: ports.map((port) => ({ key: [link(port)] })),
    hardware: ports.map((port) => ({ key: [link(port), hardware(port)] })),
    senders4: addressed(false, (port) => [link(port), hardware(port)]),
    senders6: addressed(true, (port) => [link(port), hardware(port)]),
    targets6: addressed(true, (port) => [link(port)]),
    // Two ports may have one, as a workload does that starts again before its last cable is forgotten.
    neighbours: [...new Set(ports.map((port) => port.hardware))].map((mac) => ({ key: [macBytes(mac)] })),
  };
}

/** Whether two keys are one: as the kernel compares them. */
export function keyText({ key }: SetElement): string {
  return keyBytes(key).toString("hex");
}

export function noGuard(table: string): string {
  return `table bridge ${table}\ndelete table bridge ${table}\n`;
}

export function guardRuleset(table: string, ports: readonly GuardedPort[]): string {
  const pairs = (second: (port: GuardedPort) => readonly string[]): string[] =>
    ports.flatMap((port) => second(port).map((text) => `"${port.link}" . ${text}`));
  const addresses = (six: boolean) => (port: GuardedPort) =>
    port.addresses.filter((text) => text.includes(":") === six);
  const senders = (six: boolean) => (port: GuardedPort) =>
    addresses(six)(port).map((text) => `${port.hardware} . ${text}`);
  const hexadecimal = (text: string): string => `0x${bytesOfText(text, "address").toString("hex")}`;
  const set = (name: GuardSet, type: string, elements: readonly string[]): string =>
    `  set ${name} { ${type};${elements.length === 0 ? "" : ` elements = { ${elements.join(", ")} }`} }\n`;
  return [
    noGuard(table),
    `table bridge ${table} {\n`,
    set(
      "ports",
      "type ifname",
      ports.map(({ link }) => `"${link}"`),
    ),
    set(
      "hardware",
      "type ifname . ether_addr",
      pairs(({ hardware }) => [hardware]),
    ),
    set("senders4", "type ifname . ether_addr . ipv4_addr", pairs(senders(false))),
    set("senders6", "type ifname . ether_addr . ipv6_addr", pairs(senders(true))),
    // Target of a neighbour discovery message (RFC 4861, sections 4.3 and 4.4).
    set(
      "targets6",
      "typeof iifname . @th,64,128",
      pairs((port) => addresses(true)(port).map(hexadecimal)),
    ),
    set("neighbours", "type ether_addr", [...new Set(ports.map(({ hardware }) => hardware))]),
    chains,
    "}\n",
  ].join("");
}

// Most packets are asked two questions. The frames of link protocols miss this hook, and end here: bridges do not learn from
// them (links/bridges.ts), and no packet in one is taken (rules.ts).
const chains = `  chain prerouting {
    type filter hook prerouting priority dstnat; policy accept;
    ether type ip iifname . ether saddr . ip saddr @senders4 goto passing
    ether type ip6 meta l4proto != ipv6-icmp iifname . ether saddr . ip6 saddr @senders6 goto passing
    iifname @ports jump check
  }
  chain passing {
    ether daddr @neighbours notrack
  }
  chain check {
    iifname . ether saddr != @hardware drop
    ether type arp jump resolution
    ether type ip6 jump discovery
    drop
  }
  chain resolution {
    arp htype != 1 drop
    arp ptype != ip drop
    arp hlen != 6 drop
    arp plen != 4 drop
    iifname . arp saddr ether != @hardware drop
    iifname . arp saddr ether . arp saddr ip @senders4 accept
    arp operation request arp saddr ip 0.0.0.0 accept
    drop
  }
  chain discovery {
    icmpv6 type { nd-router-advert, nd-redirect } drop
    icmpv6 type nd-neighbor-advert iifname . @th,64,128 != @targets6 drop
    iifname . ether saddr . ip6 saddr @senders6 accept
    ip6 saddr :: icmpv6 type nd-neighbor-solicit iifname . @th,64,128 @targets6 accept
    ip6 saddr :: icmpv6 type { nd-router-solicit, mld-listener-report, mld2-listener-report } accept
    drop
  }
`;
