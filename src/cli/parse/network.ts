/** The network flags of `run` and `create`, and the members of the request they make. */
import type {
  EndpointSettings,
  HostConfigRequest,
  PolicyChangeRequest,
  PortBinding,
} from "../../contract/docker.ts";
import { annotationsOf } from "../../contract/policy.ts";
import { type Flags, list, type Options, text, toggle, UsageError } from "./options.ts";

/** Flags of `update`, too. */
export const policyFlags = {
  "egress-allow": list(
    "DESTINATION",
    "Reach only this name, *.NAME, address or subnet, with :PORT and /PROTOCOL; none for nothing, any for everything",
  ),
  "ingress-rate": text("RATE", "Most that the workload receives, such as 10mbit; unlimited for no limit"),
  "egress-rate": text("RATE", "Most that the workload sends, such as 10mbit; unlimited for no limit"),
} as const satisfies Flags;

export const networkFlags = {
  network: list("NETWORK", "Connect to a network: its name, none, host, or container:NAME"),
  "network-alias": list("NAME", "One more name on the network"),
  ip: text("ADDRESS", "IPv4 address"),
  ip6: text("ADDRESS", "IPv6 address"),
  "mac-address": text("ADDRESS", "Hardware address, such as 02:42:ac:11:00:02"),
  dns: list("ADDRESS", "Resolver to ask about the world's names"),
  "dns-search": list("DOMAIN", "Domain to complete names with"),
  "dns-option": list("OPTION", "Option of the resolver library"),
  "add-host": list("NAME:ADDRESS", "Line of /etc/hosts; host-gateway stands for the host's address"),
  publish: list("[[HOST:]PORT:]PORT", "Publish a port, such as 8080:80 or 127.0.0.1::53/udp", "p"),
  "publish-all": toggle("Publish all exposed ports to random ports", "P"),
  expose: list("PORT", "Expose a port or a range"),
  link: list("NAME[:ALIAS]", "Name for another workload of the network"),
  domainname: text("DOMAIN", "Domain of the host name"),
  ...policyFlags,
} as const satisfies Flags;

export type NetworkOptions = Options<typeof networkFlags>;

type Endpoints = Readonly<Record<string, EndpointSettings>>;

export function hostNetworkOf(options: NetworkOptions): HostConfigRequest {
  return {
    NetworkMode: firstNetwork(options),
    PortBindings: portBindingsOf(options.publish),
    PublishAllPorts: options["publish-all"],
    Dns: options.dns,
    DnsSearch: options["dns-search"],
    DnsOptions: options["dns-option"],
    ExtraHosts: options["add-host"],
    Links: options.link,
    // Docker has no words for these.
    Annotations: annotationsOf({
      egress: options["egress-allow"].length === 0 ? undefined : options["egress-allow"],
      ingressRate: options["ingress-rate"],
      egressRate: options["egress-rate"],
    }),
  };
}

export function policyChangeOf(options: Options<typeof policyFlags>): PolicyChangeRequest {
  const { "egress-allow": egress, "ingress-rate": ingressRate, "egress-rate": egressRate } = options;
  return {
    ...(egress.length === 0 ? {} : { Egress: egress }),
    ...(ingressRate === undefined ? {} : { IngressRate: ingressRate }),
    ...(egressRate === undefined ? {} : { EgressRate: egressRate }),
  };
}

export function exposedPortsOf(options: NetworkOptions): Record<string, Record<string, never>> {
  const ports = [...options.expose.flatMap(rangeOf), ...Object.keys(portBindingsOf(options.publish))];
  return Object.fromEntries(ports.map((port) => [port, {}]));
}

/** Undefined when nothing was said about networks: the daemon then has its own way. */
export function endpointsOf(options: NetworkOptions): { EndpointsConfig: Endpoints } | undefined {
  const { network, ip, ip6 } = options;
  const settings: EndpointSettings = {
    ...(options["network-alias"].length === 0 ? {} : { Aliases: options["network-alias"] }),
    ...(ip === undefined && ip6 === undefined ? {} : { IPAMConfig: { IPv4Address: ip, IPv6Address: ip6 } }),
    ...(options["mac-address"] === undefined ? {} : { MacAddress: options["mac-address"] }),
  };
  if (network.length === 0 && Object.keys(settings).length === 0) return undefined;
  const first = firstNetwork(options) ?? "default";
  const others = network.slice(1).map(parseNetwork);
  const named = [{ name: first, settings: { ...firstSettings(network), ...settings } }, ...others];
  return { EndpointsConfig: Object.fromEntries(named.map((one) => [one.name, one.settings])) };
}

function firstNetwork({ network }: NetworkOptions): string | undefined {
  const [first] = network;
  return first === undefined ? undefined : parseNetwork(first).name;
}

function firstSettings([first]: readonly string[]): EndpointSettings {
  return first === undefined ? {} : parseNetwork(first).settings;
}

/** `NAME`, or `name=NAME,alias=A,ip=…,ip6=…,mac-address=…,gw-priority=…`, as Docker has it. */
function parseNetwork(word: string): { name: string; settings: EndpointSettings } {
  if (!word.includes("=")) return { name: word, settings: {} };
  const settings: Record<string, string[]> = {};
  for (const part of word.split(",")) {
    const equals = part.indexOf("=");
    const key = part.slice(0, Math.max(0, equals)).toLowerCase();
    if (!["name", "alias", "ip", "ip6", "mac-address", "gw-priority"].includes(key))
      throw new UsageError(
        `invalid argument "${word}" for --network: use name=, alias=, ip=, ip6=, mac-address= and gw-priority=`,
      );
    settings[key] = [...(settings[key] ?? []), part.slice(equals + 1)];
  }
  const [name] = settings.name ?? [];
  if (name === undefined) throw new UsageError(`invalid argument "${word}" for --network: it has no name=`);
  const { alias, ip, ip6 } = settings;
  const [mac] = settings["mac-address"] ?? [];
  const [priority] = settings["gw-priority"] ?? [];
  return {
    name,
    settings: {
      ...(alias === undefined ? {} : { Aliases: alias }),
      ...(ip === undefined && ip6 === undefined
        ? {}
        : { IPAMConfig: { IPv4Address: ip?.[0], IPv6Address: ip6?.[0] } }),
      ...(mac === undefined ? {} : { MacAddress: mac }),
      ...(priority === undefined ? {} : { GwPriority: Number(priority) }),
    },
  };
}

/** `[[HOST:]HOSTPORT:]PORT[/PROTOCOL]`, each port a number or a range. */
export function portBindingsOf(words: readonly string[]): Record<string, PortBinding[]> {
  const bindings: Record<string, PortBinding[]> = {};
  for (const word of words)
    for (const { port, binding } of parsePublished(word))
      bindings[port] = [...(bindings[port] ?? []), binding];
  return bindings;
}

function parsePublished(word: string): { port: string; binding: PortBinding }[] {
  const match =
    /^(?:(?:(?<address>\[[^\]]*\]|[^:[\]]*):)?(?<host>\d*(?:-\d+)?):)?(?<port>\d+(?:-\d+)?)(?:\/(?<protocol>\w+))?$/.exec(
      word,
    );
  if (match?.groups === undefined)
    throw new UsageError(`invalid argument "${word}" for --publish: write [[HOST:]HOSTPORT:]PORT[/PROTOCOL]`);
  const { address = "", host = "", port = "", protocol = "tcp" } = match.groups;
  const inside = numbersOf(port, word);
  const outside = host === "" ? [] : numbersOf(host, word);
  const HostIp = address.replace(/^\[(.*)\]$/, "$1");
  if (outside.length > 1 && inside.length > 1 && outside.length !== inside.length)
    throw new UsageError(`invalid argument "${word}" for --publish: the ranges differ in length`);
  // Several of the host's ports for one port of the workload: the first that is free.
  const choice = inside.length === 1 && outside.length > 1;
  return inside.map((number, index) => ({
    port: `${number}/${protocol}`,
    binding: { HostIp, HostPort: choice ? host : String(outside[index] ?? "") },
  }));
}

function numbersOf(range: string, word: string): number[] {
  const [first = 0, last = first] = range.split("-").map(Number);
  if (first > last || last > 65_535)
    throw new UsageError(`invalid port range "${range}" in "${word}": ports are 1 to 65535, in order`);
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

function rangeOf(word: string): string[] {
  const [range = "", protocol = "tcp"] = word.split("/");
  if (!/^\d+(-\d+)?$/.test(range))
    throw new UsageError(`invalid argument "${word}" for --expose: write PORT or FIRST-LAST, with /PROTOCOL`);
  return numbersOf(range, word).map((port) => `${port}/${protocol}`);
}
