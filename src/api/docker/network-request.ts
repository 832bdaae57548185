/** The network parts of Docker's create request, checked and translated to the network room's. */

import * as v from "valibot";
import { dictionary } from "../../contract/dictionary.ts";
import { HullError } from "../../contract/errors.ts";
import { ownMember } from "../../contract/own-member.ts";
import { formatAddress, parseAddress } from "../../network/addresses/address.ts";
import { protocolOf } from "../../network/ports/ports.ts";
import type { EndpointRequest, NetworkRequest, PortRequest } from "../../network/records/types.ts";
import { parseWith } from "../exchange.ts";
import { translatePolicy } from "./policy-request.ts";

const text = v.nullish(v.string(), "");
const texts = v.nullish(v.array(v.string()), []);
const members = v.nullish(dictionary(v.string()), {});
const count = v.nullish(v.pipe(v.number(), v.safeInteger()), 0);

const portBinding = v.object({ HostIp: text, HostPort: text });

/** Members of HostConfig. */
export const networkEntries = {
  Annotations: members,
  Dns: texts,
  DnsOptions: texts,
  DnsSearch: texts,
  ExtraHosts: texts,
  Links: texts,
  NetworkMode: text,
  PortBindings: v.nullish(dictionary(v.nullish(v.array(portBinding))), {}),
  PublishAllPorts: v.nullish(v.boolean(), false),
};

const hostNetwork = v.object(networkEntries);
type HostNetwork = v.InferOutput<typeof hostNetwork>;

/** Members beside these are Docker's own answers, which clients send back as they got them. */
const endpointSettings = v.looseObject({
  Aliases: texts,
  Links: texts,
  MacAddress: text,
  DriverOpts: members,
  GwPriority: count,
  IPAMConfig: v.nullish(v.looseObject({ IPv4Address: text, IPv6Address: text, LinkLocalIPs: texts })),
  IPAddress: text,
  GlobalIPv6Address: text,
});

export function translateNetwork(
  host: HostNetwork,
  body: {
    readonly Hostname: string;
    readonly Domainname: string;
    readonly MacAddress: string;
    readonly NetworkDisabled: boolean;
    readonly Labels: Readonly<Record<string, string>>;
    readonly endpoints: Readonly<Record<string, unknown>>;
  },
): NetworkRequest {
  const mode = body.NetworkDisabled ? "none" : host.NetworkMode === "" ? "default" : host.NetworkMode;
  const asked = Object.entries(body.endpoints).map(
    ([name, value]) => [name === "" ? mode : name, translateEndpoint(value)] as const,
  );
  const mac = asked.find(([name]) => name === mode)?.[1].mac ?? body.MacAddress;
  refuseForOthersNetwork(mode, { hostname: body.Hostname, mac });
  const endpoints = asked
    // What goes with a mode that is no network says nothing.
    .filter(([name]) => name !== mode || !isAlone(mode));
  const named = Object.fromEntries(endpoints);
  return {
    mode,
    endpoints: isAlone(mode) || body.MacAddress === "" ? named : withMac(named, mode, body.MacAddress),
    ports: Object.entries(host.PortBindings).flatMap(([port, bindings]) =>
      portRequests(port, bindings ?? []),
    ),
    publishAll: host.PublishAllPorts,
    dns: host.Dns,
    dnsSearch: host.DnsSearch,
    dnsOptions: host.DnsOptions,
    extraHosts: host.ExtraHosts,
    domainname: body.Domainname,
    ...translatePolicy(host.Annotations, body.Labels),
  };
}

function isAlone(mode: string): boolean {
  return mode === "none" || mode === "host" || mode.startsWith("container:");
}

/** What belongs to a network that is another's; Docker refuses these, too. */
function refuseForOthersNetwork(
  mode: string,
  { hostname, mac }: { readonly hostname: string; readonly mac: string },
): void {
  const joins = mode.startsWith("container:");
  const refuse = (what: string, value: string): never => {
    throw new HullError("invalidParameter", {
      what,
      value,
      why: `it cannot be chosen with the network mode ${mode}`,
    });
  };
  if (joins && hostname !== "") refuse("host name", hostname);
  if ((joins || mode === "host") && mac !== "") refuse("MAC address", mac);
}

/** The older place of the first network's hardware address. */
function withMac(
  endpoints: Readonly<Record<string, EndpointRequest>>,
  mode: string,
  mac: string,
): Record<string, EndpointRequest> {
  const first = ownMember(endpoints, mode) ?? translateEndpoint({});
  return { ...endpoints, [mode]: { ...first, mac: first.mac ?? mac } };
}

/** Throws `invalidParameter`, and `unsupported` for what nothing acts on. */
export function translateEndpoint(value: unknown): EndpointRequest {
  const settings = parseWith(endpointSettings, value ?? {}, "endpoint settings");
  const ipam = settings.IPAMConfig;
  if ((ipam?.LinkLocalIPs ?? []).length > 0)
    throw new HullError("unsupported", {
      what: "IPAMConfig.LinkLocalIPs",
      where: "",
      why: "the kernel gives link-local addresses itself",
    });
  const [option] = Object.keys(settings.DriverOpts);
  if (option !== undefined)
    throw new HullError("unsupported", {
      what: `the endpoint option ${option}`,
      where: "",
      why: "endpoints have no options",
    });
  return {
    aliases: settings.Aliases,
    links: settings.Links,
    options: {},
    gatewayPriority: settings.GwPriority,
    ...(ipam == null || ipam.IPv4Address === "" ? {} : { ipv4: ipam.IPv4Address }),
    ...(ipam == null || ipam.IPv6Address === "" ? {} : { ipv6: ipam.IPv6Address }),
    ...(settings.MacAddress === "" ? {} : { mac: settings.MacAddress }),
  };
}

/** `80/tcp` and where it is to be reached: a port, a range to choose from, or any. */
export function portRequests(
  word: string,
  bindings: readonly { readonly HostIp: string; readonly HostPort: string }[],
): PortRequest[] {
  const { port, protocol } = parsePort(word);
  const wanted = bindings.length === 0 ? [{ HostIp: "", HostPort: "" }] : bindings;
  return wanted.map(({ HostIp, HostPort }) => {
    const given = HostIp.replace(/^\[(.*)\]$/, "$1");
    const parsed = parseAddress(given);
    const hostAddress = parsed === undefined ? "" : formatAddress(parsed);
    if (given !== "" && parsed === undefined)
      throw new HullError("invalidParameter", {
        what: "host address",
        value: HostIp,
        why: `port ${word} cannot be published there: it is no IP address, or one with a zone`,
      });
    const [hostFirst, hostLast] = HostPort === "" || HostPort === "0" ? [0, 0] : parseRange(HostPort);
    return { protocol, port, hostAddress, hostFirst, hostLast };
  });
}

export function parsePort(word: string): Pick<PortRequest, "port" | "protocol"> {
  const [number = "", name = "tcp"] = word.split("/");
  const protocol = protocolOf(name);
  if (protocol === undefined)
    throw new HullError("invalidParameter", {
      what: "port",
      value: word,
      why: "its protocol is tcp, udp or sctp",
    });
  return { port: parseNumber(number, word), protocol };
}

function parseRange(word: string): [number, number] {
  const [first = "", last = first] = word.split("-");
  const range: [number, number] = [parseNumber(first, word), parseNumber(last, word)];
  if (range[0] <= range[1]) return range;
  throw new HullError("invalidParameter", {
    what: "host port range",
    value: word,
    why: "it ends before it begins",
  });
}

function parseNumber(digits: string, word: string): number {
  const number = Number(digits);
  if (/^\d{1,5}$/.test(digits) && number >= 1 && number <= 65_535) return number;
  throw new HullError("invalidParameter", {
    what: "port",
    value: word,
    why: "a port is a number from 1 to 65535",
  });
}
