/** The files of /etc that say who and where a workload on networks is. */
import { HullError } from "../../contract/errors.ts";
import { parseAddress } from "../addresses/address.ts";
import type { NetworkRequest, WorkloadRecord } from "../records/types.ts";

/** What `host-gateway` stands for, and where the workload's resolvers are. */
export interface FileFacts {
  readonly hostAddress: string | undefined;
  /** Gateway addresses that resolvers listen on. */
  readonly resolvers: readonly string[];
  /** The host's own resolv.conf. */
  readonly hostResolver: string;
  /** The workload is in the host's own namespace, where servers on loopback addresses can be reached. */
  readonly keepLocal: boolean;
}

export function hostsFile(record: WorkloadRecord, facts: FileFacts): string {
  const { hostname, request } = record;
  const names = request.domainname === "" ? hostname : `${hostname}.${request.domainname} ${hostname}`;
  const addresses = record.endpoints.flatMap(({ address4, address6 }) => [address4, address6]);
  return [
    "127.0.0.1\tlocalhost",
    "::1\tlocalhost ip6-localhost ip6-loopback",
    "fe00::\tip6-localnet",
    "ff00::\tip6-mcastprefix",
    "ff02::1\tip6-allnodes",
    "ff02::2\tip6-allrouters",
    ...request.extraHosts
      .flatMap((text) => extraHost(text, facts) ?? [])
      .map(({ name, address }) => `${address}\t${name}`),
    ...(record.endpoints.length === 0 && hostname !== "" ? [`127.0.1.1\t${names}`] : []),
    ...addresses.flatMap((address) => (address === undefined ? [] : [`${address}\t${names}`])),
    "",
  ].join("\n");
}

/** `NAME:ADDRESS` or `NAME=ADDRESS`; the address may be in brackets, or `host-gateway`. Throws `invalidParameter`. */
export function parseExtraHost(text: string): { readonly name: string; readonly address: string } {
  const at = text.search(/[:=]/);
  const name = text.slice(0, Math.max(0, at));
  const address = text.slice(at + 1).replace(/^\[(.*)\]$/, "$1");
  if (
    at < 1 ||
    !/^[\w.-]+$/.test(name) ||
    (address !== "host-gateway" && parseAddress(address) === undefined)
  )
    throw new HullError("invalidParameter", {
      what: "extra host",
      value: text,
      why: "write it as NAME:ADDRESS or NAME:host-gateway",
    });
  return { name, address };
}

/** Words of the client's that stand in the files as they are. Throws `invalidParameter`. */
export function checkResolverWords(
  request: Pick<NetworkRequest, "domainname" | "dnsSearch" | "dnsOptions">,
): void {
  const words = [
    ["domain name", request.domainname === "" ? [] : [request.domainname]],
    ["DNS search domain", request.dnsSearch],
    ["DNS option", request.dnsOptions],
  ] as const;
  for (const [what, values] of words)
    for (const value of values)
      if (!/^[\w.:-]{1,253}$/.test(value))
        throw new HullError("invalidParameter", {
          what,
          value: JSON.stringify(value),
          why: "it has 1 to 253 letters, digits, '.', ':', '_' and '-'",
        });
}

function extraHost(text: string, facts: FileFacts): { name: string; address: string } | undefined {
  const { name, address } = parseExtraHost(text);
  if (address !== "host-gateway") return { name, address };
  return facts.hostAddress === undefined ? undefined : { name, address: facts.hostAddress };
}

/** A line that the client asked for is not left out unsaid. Throws `invalidParameter`. */
export function requireExtraHosts(record: WorkloadRecord, facts: FileFacts): void {
  const missing = record.request.extraHosts.find((text) => extraHost(text, facts) === undefined);
  if (missing !== undefined)
    throw new HullError("invalidParameter", {
      what: "extra host",
      value: missing,
      why: "the workload is on no network that the host can be reached by",
    });
}

/** Names are resolved by the gateways; without any, by what the host itself uses, or what was asked for. */
export function resolverFile(record: WorkloadRecord, facts: FileFacts): string {
  const { dns, dnsSearch, dnsOptions } = record.request;
  const host = facts.hostResolver.split("\n").map((line) => line.trim());
  const values = (keyword: string): string[] =>
    host
      .filter((line) => line.startsWith(`${keyword} `) || line.startsWith(`${keyword}\t`))
      .flatMap((line) => line.split(/\s+/).slice(1));
  const local = (server: string): boolean =>
    !facts.keepLocal && (server.startsWith("127.") || server === "::1");
  const plain = dns.length > 0 ? dns : values("nameserver").filter((server) => !local(server));
  const servers = facts.resolvers.length > 0 ? facts.resolvers : plain;
  const search = dnsSearch.length > 0 ? dnsSearch.filter((domain) => domain !== ".") : values("search");
  const options = dnsOptions.length > 0 ? dnsOptions : values("options");
  const withDots =
    facts.resolvers.length > 0 && !options.some((option) => option.startsWith("ndots:"))
      ? [...options, "ndots:0"]
      : options;
  return [
    // The C library asks no more than three.
    ...servers.slice(0, 3).map((server) => `nameserver ${server}`),
    ...(search.length === 0 ? [] : [`search ${search.join(" ")}`]),
    ...(withDots.length === 0 ? [] : [`options ${withDots.join(" ")}`]),
    "",
  ].join("\n");
}
