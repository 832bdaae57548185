/**
 * What a workload may reach, as people write it: `deb.example.org`, `*.example.org:443`, `10.0.0.0/8:53/udp`,
 * `[2001:db8::1]:22/tcp`. An empty list allows nothing.
 */
import { HullError } from "../../contract/errors.ts";
import { formatSubnet, parseAddress, parseSubnet, requireSubnet, type Subnet } from "../addresses/address.ts";

export type EgressProtocol = "tcp" | "udp" | "sctp" | "icmp";

/** Every protocol and port, when nothing is said. */
export interface Reach {
  readonly protocol?: EgressProtocol | undefined;
  readonly ports?: { readonly first: number; readonly last: number } | undefined;
}

export type Allowed =
  | { readonly kind: "name"; readonly name: string; readonly wildcard: boolean; readonly reach: Reach }
  | { readonly kind: "subnet"; readonly subnet: Subnet; readonly reach: Reach };

const protocols: readonly EgressProtocol[] = ["tcp", "udp", "sctp", "icmp"];
/** More are a rule set of somebody else's. */
const mostAllowed = 256;

/** The list in one spelling, so that it can be shown and compared. Throws `invalidParameter`. */
export function canonicalList(words: readonly string[]): string[] {
  const list = [...new Set(words.map((word) => formatAllowed(parseAllowed(word))))];
  if (list.length > mostAllowed)
    throw new HullError("tooLarge", {
      what: "the number of destinations that egress is allowed to",
      value: list.length,
      limit: String(mostAllowed),
    });
  return list;
}

/** Throws `invalidParameter`. */
export function parseAllowed(word: string): Allowed {
  const refuse = (why: string): never => {
    throw new HullError("invalidParameter", { what: "allowed destination", value: word, why });
  };
  const { rest, protocol } = cutProtocol(word.trim().toLowerCase());
  const { host, port } = cutPort(rest);
  const ports = port === undefined ? undefined : (parsePorts(port) ?? refuse("a port is 1 to 65535"));
  if (ports !== undefined && protocol === "icmp") refuse("icmp has no ports");
  const reach = {
    ...(protocol === undefined ? {} : { protocol }),
    ...(ports === undefined ? {} : { ports }),
  };
  const subnet = subnetOf(host);
  if (subnet !== undefined) return { kind: "subnet", subnet, reach };
  const wildcard = host.startsWith("*.");
  const name = (wildcard ? host.slice(2) : host).replace(/\.$/, "");
  if (!isName(name) || /^[\d.]+$/.test(name))
    refuse(
      "write a name, *.NAME, an address or a subnet, with :PORT, :FIRST-LAST and /tcp, /udp, /sctp or /icmp after it; an IPv6 address before a port goes in brackets, and a name with other letters is written as it is asked for (xn--…)",
    );
  return { kind: "name", name, wildcard, reach };
}

/** Letters, digits, dashes and underscores, as all names of hosts and services are. */
function isName(name: string): boolean {
  return (
    name.length <= 253 &&
    name.split(".").every((label) => /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/.test(label))
  );
}

/** `*.example.org` is every name below example.org, and not example.org itself. */
export function allowsName(allowed: Allowed, name: string): boolean {
  if (allowed.kind !== "name") return false;
  return allowed.wildcard ? name.endsWith(`.${allowed.name}`) : name === allowed.name;
}

export function reachText({ protocol, ports }: Reach): string {
  const range =
    ports === undefined ? "" : `:${ports.first}${ports.last === ports.first ? "" : `-${ports.last}`}`;
  return `${range}${protocol === undefined ? "" : `/${protocol}`}`;
}

function formatAllowed(allowed: Allowed): string {
  const tail = reachText(allowed.reach);
  if (allowed.kind === "name") return `${allowed.wildcard ? "*." : ""}${allowed.name}${tail}`;
  const text = formatSubnet(allowed.subnet).replace(allowed.subnet.family === 4 ? /\/32$/ : /\/128$/, "");
  return allowed.subnet.family === 6 && allowed.reach.ports !== undefined
    ? `[${text}]${tail}`
    : `${text}${tail}`;
}

function cutProtocol(word: string): { rest: string; protocol: EgressProtocol | undefined } {
  const protocol = protocols.find((name) => word.endsWith(`/${name}`));
  return { rest: protocol === undefined ? word : word.slice(0, -protocol.length - 1), protocol };
}

/** An IPv6 address without brackets has no port after it. */
function cutPort(word: string): { host: string; port: string | undefined } {
  const bracketed = /^\[([^\]]*)\](?::(.*))?$/.exec(word);
  if (bracketed !== null) return { host: bracketed[1] ?? "", port: bracketed[2] };
  const at = word.indexOf(":");
  if (at === -1 || at !== word.lastIndexOf(":")) return { host: word, port: undefined };
  return { host: word.slice(0, at), port: word.slice(at + 1) };
}

function parsePorts(text: string): Reach["ports"] {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text);
  if (match === null) return undefined;
  const first = Number(match[1]);
  const last = Number(match[2] ?? match[1]);
  return first >= 1 && last >= first && last <= 65_535 ? { first, last } : undefined;
}

function subnetOf(host: string): Subnet | undefined {
  const address = parseAddress(host);
  if (address !== undefined)
    return { family: address.family, base: address.value, length: address.family === 4 ? 32 : 128 };
  // One with bits beyond its length is refused rather than read as what it may have been meant for.
  return parseSubnet(host) === undefined ? undefined : requireSubnet(host, "allowed destination");
}
