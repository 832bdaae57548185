/**
 * The bridges of networks. One is made when the first workload on its network starts, and taken away with the network,
 * or when the daemon ends and nobody uses it; so a daemon that has run nothing leaves the host as it was.
 */
import { HullError, messageOf } from "../../contract/errors.ts";
import type { Logger } from "../../contract/logger.ts";
import { addAddress, hostAddresses, listRoutes } from "../../host/network/addresses.ts";
import { deleteLink, findLink, type Link, listLinks, makeBridge, setLink } from "../../host/network/links.ts";
import type { NetlinkSocket } from "../../host/network/netlink.ts";
import { writeNetworkSetting } from "../../host/network/sysctl.ts";
import { errnoNameOf } from "../../host/system-error.ts";
import { addressOfBytes, bytesOfText, overlap, requireSubnet, type Subnet } from "../addresses/address.ts";
import type { BridgeRules } from "../firewall/rules.ts";
import type { NetworkRecord } from "../records/types.ts";
import { isOn, mtuOf, option } from "./options.ts";

export interface Bridge {
  readonly index: number;
}

/** What neighbours may tell a host of its routes: of workloads nothing is believed, or one could lead the host's packets. */
const distrusted = [
  "ipv6/conf/BRIDGE/accept_ra",
  "ipv6/conf/BRIDGE/accept_redirects",
  "ipv4/conf/BRIDGE/accept_redirects",
];

export class Bridges {
  readonly #socket: NetlinkSocket;
  readonly #tag: string;
  readonly #log: Logger;
  readonly #up = new Map<string, Bridge>();

  /** `tag` marks the interfaces of this daemon. */
  constructor(socket: NetlinkSocket, tag: string, log: Logger) {
    this.#socket = socket;
    this.#tag = tag;
    this.#log = log;
  }

  isUp(network: string): boolean {
    return this.#up.has(network);
  }

  /** Undefined when it is not up. */
  bridgeOf(network: string): Bridge | undefined {
    return this.#up.get(network);
  }

  get any(): boolean {
    return this.#up.size > 0;
  }

  /** Makes the bridge, or finds it; true when it was not there. */
  raise(network: NetworkRecord): { bridge: Bridge; made: boolean } {
    const known = this.#up.get(network.id);
    if (known !== undefined) return { bridge: known, made: false };
    const found = findLink(this.#socket, network.bridge);
    if (found !== undefined && found.alias !== this.#tag)
      throw new HullError("networkUnavailable", {
        why: `an interface ${network.bridge} is there already, and not Hull's: remove it, or give the network another name with -o com.docker.network.bridge.name=NAME`,
      });
    const link = found ?? this.#make(network);
    const bridge = { index: link.index };
    this.#socket.request([
      setLink(link.index, { group: groupOf(bridge) }),
      ...gatewaysOf(network).map((gateway) => addAddress(link.index, gateway)),
    ]);
    // Connections to the host's loopback addresses may be led to workloads; the packet filter lets none come back.
    if (!network.internal) writeNetworkSetting(`ipv4/conf/${network.bridge}/route_localnet`, "1");
    for (const name of distrusted) writeNetworkSetting(name.replace("BRIDGE", network.bridge), "0");
    this.#up.set(network.id, bridge);
    return { bridge, made: true };
  }

  lower(network: NetworkRecord): void {
    this.#up.delete(network.id);
    this.#socket.request([deleteLink(network.bridge)]);
  }

  /** All interfaces of the host, by name. */
  links(): Map<string, Link> {
    return new Map(listLinks(this.#socket).map((link) => [link.name, link]));
  }

  /** Networks whose bridge somebody took away. */
  missing(networks: readonly NetworkRecord[], links: ReadonlyMap<string, Link>): NetworkRecord[] {
    return networks.filter((network) => {
      const known = this.#up.get(network.id);
      if (known === undefined || links.get(network.bridge)?.index === known.index) return false;
      this.#up.delete(network.id);
      return true;
    });
  }

  /** Sets bridges up that are not, with the addresses that they lack; returns the networks that this was so with. */
  putInOrder(networks: readonly NetworkRecord[], links: ReadonlyMap<string, Link>): NetworkRecord[] {
    const addresses = new Set(hostAddresses(this.#socket).map((bytes) => bytes.toString("hex")));
    return networks.filter((network) => {
      const known = this.#up.get(network.id);
      const link = links.get(network.bridge);
      if (known === undefined || link?.index !== known.index) return false;
      const lost = gatewaysOf(network).filter(({ bytes }) => !addresses.has(bytes.toString("hex")));
      if (link.up && lost.length === 0) return false;
      this.#socket.request([
        setLink(known.index, { up: true }),
        ...lost.map((gateway) => addAddress(known.index, gateway)),
      ]);
      return true;
    });
  }

  /** Interfaces that this daemon, or an earlier life of it, made. */
  own(): Link[] {
    return listLinks(this.#socket).filter(({ alias }) => alias === this.#tag);
  }

  /** Whether another daemon of Hull has networks up. */
  othersAreUp(): boolean {
    return listLinks(this.#socket).some(
      ({ kind, alias }) => kind === "bridge" && /^hull-[0-9a-f]{10}$/.test(alias) && alias !== this.#tag,
    );
  }

  removeLink(name: string): void {
    this.#socket.request([deleteLink(name)]);
  }

  /** Subnets that the host has routes to, except those of its interfaces `except`. */
  hostSubnets(except: ReadonlySet<string>): Subnet[] {
    const own = new Set(
      listLinks(this.#socket)
        .filter(({ name }) => except.has(name))
        .map(({ index }) => index),
    );
    return listRoutes(this.#socket)
      .filter((route) => !own.has(route.interface))
      .map(({ destination }) => ({
        family: destination.bytes.length === 4 ? 4 : 6,
        base: addressOfBytes(destination.bytes).value,
        length: destination.length,
      }));
  }

  /** Whether a route of the host's own leads to a part of the network. */
  collision(network: NetworkRecord): string | undefined {
    const foreign = this.hostSubnets(new Set([network.bridge]));
    return network.subnets
      .map(({ subnet }) => requireSubnet(subnet, "subnet"))
      .filter((subnet) => foreign.some((other) => overlap(subnet, other)))
      .map(({ family }) => (family === 4 ? "IPv4" : "IPv6"))[0];
  }

  #make(network: NetworkRecord): Link {
    const { bridge: name } = network;
    try {
      this.#socket.request(
        makeBridge(name, {
          alias: this.#tag,
          mac: macOfBridge(network),
          mtu: mtuOf(network),
          noGeneratedAddress: !network.ipv6,
          up: true,
        }),
      );
    } catch (error) {
      throw explainLinkError(error, `the bridge ${name}`);
    }
    const link = findLink(this.#socket, name);
    if (link === undefined) throw new HullError("networkUnavailable", { why: `the bridge ${name} vanished` });
    this.#log.info("a network is up", { network: network.name, bridge: name });
    return link;
  }
}

/** One that stays: without, a bridge takes its ports' lowest, and neighbours lose it whenever a workload comes or goes. */
function macOfBridge({ id }: NetworkRecord): string {
  return `02:48:${id.slice(0, 8).replace(/(..)(?!$)/g, "$1:")}`;
}

export function explainLinkError(error: unknown, what: string): unknown {
  switch (errnoNameOf(error)) {
    case "EPERM":
    case "EACCES":
      return new HullError(
        "networkUnavailable",
        { why: `${what} cannot be made without CAP_NET_ADMIN: run the daemon as root` },
        { cause: error },
      );
    case "EOPNOTSUPP":
      return new HullError(
        "networkUnavailable",
        { why: `this kernel cannot make ${what}: load the modules bridge and veth` },
        { cause: error },
      );
    default:
      return error instanceof HullError
        ? error
        : new HullError("networkUnavailable", { why: `${what}: ${messageOf(error)}` }, { cause: error });
  }
}

function gatewaysOf(network: NetworkRecord): { bytes: Buffer; length: number }[] {
  return network.subnets.map(({ subnet, gateway }) => ({
    bytes: bytesOfText(gateway, "gateway"),
    length: requireSubnet(subnet, "subnet").length,
  }));
}

/** Of no other interface, and none that people would think of: what the packet filter knows a bridge by in a hurry. */
function groupOf({ index }: Bridge): number {
  return 0x4000_0000 + index;
}

export function bridgeRulesOf(
  network: NetworkRecord,
  bridge: Bridge,
  resolverPort: number | undefined,
): BridgeRules {
  const subnets = network.subnets.map(({ subnet }) => subnet);
  const gateways = network.subnets.map(({ gateway }) => gateway);
  const four = (text: string): boolean => !text.includes(":");
  return {
    name: network.bridge,
    group: groupOf(bridge),
    internal: network.internal,
    subnets4: subnets.filter(four),
    subnets6: subnets.filter((text) => !four(text)),
    gateways4: gateways.filter(four),
    gateways6: gateways.filter((text) => !four(text)),
    masquerade: isOn(option(network, "com.docker.network.bridge.enable_ip_masquerade"), true),
    resolverPort,
  };
}
