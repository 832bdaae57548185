/**
 * The namespace of one sandbox and its cables: for each endpoint a pair of interfaces, one end in the namespace, the
 * other a port of the network's bridge. A workload with a kernel of its own gets bare cables, which its wall splices to
 * its virtual hardware; any other gets them set up with addresses and routes.
 */
import { addAddress, addDefaultRoute, deleteDefaultRoute } from "../../host/network/addresses.ts";
import { deleteLink, findLink, makeVeth, setLink } from "../../host/network/links.ts";
import {
  makeNetworkNamespace,
  type NetworkNamespace,
  openNetworkNamespace,
  setParameters,
} from "../../host/network/namespace.ts";
import type { Message, NetlinkSocket } from "../../host/network/netlink.ts";
import { readNetworkSetting } from "../../host/network/sysctl.ts";
import { bytesOfText, contains, requireAddress, requireSubnet } from "../addresses/address.ts";
import type { EndpointRecord, NetworkRecord } from "../records/types.ts";
import { explainLinkError } from "./bridges.ts";
import { isOn, mtuOf, option } from "./options.ts";

/** An endpoint that is up, with the network it is on. */
export interface Plug {
  readonly endpoint: EndpointRecord;
  readonly network: NetworkRecord;
  /** Index of the network's bridge. */
  readonly bridge: number;
}

/** One interface as the workload is to see it. */
export interface Interface {
  readonly name: string;
  readonly mac: string;
  readonly mtu: number;
  /** With the length of their subnets: `172.18.0.2/16`. */
  readonly addresses: readonly string[];
  /** Where everything else is reached through; of one interface only, for each family. */
  readonly gateways: readonly string[];
  /** Network card of a machine. */
  readonly card: number;
  /** For a kernel of the workload's own. */
  readonly sysctls: Readonly<Record<string, string>>;
}

export interface Route {
  readonly destination: string;
  readonly gateway: string;
  readonly interface: string;
}

export function routesOf(interfaces: readonly Interface[]): Route[] {
  return interfaces.flatMap(({ name, gateways }) =>
    gateways.map((gateway) => ({
      destination: gateway.includes(":") ? "::/0" : "0.0.0.0/0",
      gateway,
      interface: name,
    })),
  );
}

/** What every namespace starts with: Docker's settings, and addresses that need no asking around. */
const settings = {
  "ipv4/ip_unprivileged_port_start": "0",
  "ipv4/ping_group_range": "0 2147483647",
  "ipv6/conf/default/accept_dad": "0",
  // Routes come from Hull, not from a neighbour who says that it is a router.
  "ipv6/conf/default/accept_ra": "0",
};

const loopback = 1;
export const defaultMtu = 1500;

export function newNamespace(): NetworkNamespace {
  return prepareNamespace(makeNetworkNamespace(settings));
}

/** One that a sandbox is in already; undefined when that has ended. */
export function adoptNamespace(path: string): NetworkNamespace | undefined {
  const namespace = openNetworkNamespace(path);
  if (namespace === undefined) return undefined;
  namespace.within(() => setParameters(settings));
  return prepareNamespace(namespace);
}

function prepareNamespace(namespace: NetworkNamespace): NetworkNamespace {
  try {
    using socket = namespace.openSocket();
    socket.request([setLink(loopback, { up: true })]);
    return namespace;
  } catch (error) {
    namespace[Symbol.dispose]();
    throw error;
  }
}

function indexOf(inside: NetlinkSocket, name: string): number {
  const index = findLink(inside, name)?.index;
  if (index === undefined) throw new Error(`the interface ${name} is not there`);
  return index;
}

export interface PlugOptions {
  readonly host: NetlinkSocket;
  readonly tag: string;
  /** The kernel in the namespace is the workload's: addresses and routes are set here. */
  readonly configure: boolean;
  /** Names of the interfaces that are the way out, by family. */
  readonly wayOut: WayOut;
}

export interface WayOut {
  readonly 4: string | undefined;
  readonly 6: string | undefined;
}

/** Plugs the cables in; nothing of them stays when one fails. */
export function plugIn(namespace: NetworkNamespace, plugs: readonly Plug[], options: PlugOptions): void {
  const made: string[] = [];
  try {
    for (const plug of plugs) {
      options.host.request(cableOf(plug, namespace, options.tag));
      made.push(plug.endpoint.hostLink);
    }
    using inside = namespace.openSocket();
    inside.request(plugs.flatMap((plug) => setUpOf(plug, indexOf(inside, plug.endpoint.interface), options)));
  } catch (error) {
    options.host.request(made.map(deleteLink));
    throw explainLinkError(error, "a virtual Ethernet pair");
  }
}

/** Connects the host's ends, where they are not, to a bridge that was made anew, or that they were pulled out of. */
export function plugAgain(plugs: readonly Plug[], host: NetlinkSocket): void {
  for (const { endpoint, network, bridge } of plugs) {
    const { hostLink } = endpoint;
    const link = findLink(host, hostLink);
    if (link === undefined || (link.up && link.master === bridge)) continue;
    const port = portSettings(network);
    host.request([
      // Down until all of the port's settings hold, which it lost with the bridge.
      setLink(hostLink, { up: false }),
      setLink(hostLink, { master: bridge }),
      ...(port.isolated || port.reflecting ? [setLink(hostLink, port)] : []),
      setLink(hostLink, { up: true }),
    ]);
  }
}

/** Of the host's end, as a port of its bridge. */
function portSettings(network: NetworkRecord): { readonly isolated: boolean; readonly reflecting: boolean } {
  return {
    isolated: !isOn(option(network, "com.docker.network.bridge.enable_icc"), true),
    // With netfilter on bridges, a workload's packet to its own published port turns round on its bridge port.
    reflecting: readNetworkSetting("bridge/bridge-nf-call-iptables") === "1",
  };
}

/** Moves the way out of a workload that runs; what is the same before and after is left alone. */
export function changeWayOut(
  namespace: NetworkNamespace,
  before: readonly Interface[],
  after: readonly Interface[],
): void {
  const routes = (interfaces: readonly Interface[]): Map<string, string> =>
    new Map(
      interfaces.flatMap(({ name, gateways }) => gateways.map((gateway) => [`${name} ${gateway}`, gateway])),
    );
  const [old, wanted] = [routes(before), routes(after)];
  const names = new Set(after.map(({ name }) => name));
  using socket = namespace.openSocket();
  const messages: Message[] = [];
  for (const [key, gateway] of old) {
    const name = key.split(" ")[0] ?? "";
    // The routes of an interface that has gone went with it.
    if (!wanted.has(key) && names.has(name))
      messages.push(deleteDefaultRoute(indexOf(socket, name), bytesOfText(gateway, "gateway")));
  }
  for (const [key, gateway] of wanted)
    if (!old.has(key))
      messages.push(
        addDefaultRoute(indexOf(socket, key.split(" ")[0] ?? ""), bytesOfText(gateway, "gateway")),
      );
  socket.request(messages);
}

export function interfaceOf({ endpoint, network }: Plug, wayOut: WayOut): Interface {
  const addresses = [endpoint.address4, endpoint.address6].filter((address) => address !== undefined);
  return {
    name: endpoint.interface,
    mac: endpoint.hardware ?? "",
    mtu: mtuOf(network) ?? defaultMtu,
    card: Number(endpoint.interface.replace(/^\D+/, "")),
    sysctls: {
      [`net.ipv6.conf.${endpoint.interface}.${network.ipv6 ? "accept_ra" : "disable_ipv6"}`]: network.ipv6
        ? "0"
        : "1",
    },
    addresses: addresses.map((address) => `${address}/${lengthOf(network, address)}`),
    gateways: addresses.flatMap((address) => {
      const family = address.includes(":") ? 6 : 4;
      return wayOut[family] === endpoint.interface ? [gatewayFor(network, address)] : [];
    }),
  };
}

function cableOf({ endpoint, network, bridge }: Plug, namespace: NetworkNamespace, tag: string): Message[] {
  const mtu = mtuOf(network);
  return makeVeth(
    endpoint.hostLink,
    {
      alias: tag,
      master: bridge,
      mtu,
      noGeneratedAddress: true,
      ...portSettings(network),
      up: true,
    },
    {
      name: endpoint.interface,
      namespace: namespace.descriptor,
      ...(endpoint.hardware === undefined ? {} : { mac: endpoint.hardware }),
      ...(mtu === undefined ? {} : { mtu }),
    },
  );
}

function setUpOf(plug: Plug, index: number, { configure, wayOut }: PlugOptions): Message[] {
  const bare = !configure || !plug.network.ipv6;
  const up = [...(bare ? [setLink(index, { noGeneratedAddress: true })] : []), setLink(index, { up: true })];
  if (!configure) return up;
  const { addresses, gateways } = interfaceOf(plug, wayOut);
  return [
    ...up,
    ...addresses.map((text) => {
      const [address = "", length = ""] = text.split("/");
      return addAddress(index, { bytes: bytesOfText(address, "address"), length: Number(length) });
    }),
    ...gateways.map((gateway) => addDefaultRoute(index, bytesOfText(gateway, "gateway"))),
  ];
}

function subnetOf(network: NetworkRecord, text: string) {
  const address = requireAddress(text, "address");
  return network.subnets.find(({ subnet }) => contains(requireSubnet(subnet, "subnet"), address));
}

function lengthOf(network: NetworkRecord, address: string): number {
  return Number(subnetOf(network, address)?.subnet.split("/")[1] ?? 0);
}

function gatewayFor(network: NetworkRecord, address: string): string {
  return subnetOf(network, address)?.gateway ?? "";
}
