/**
 * Addresses: subnets for networks that were not given any, and addresses of those subnets for workloads. Pure
 * functions of what is taken; the caller records what they answer before anything else can ask.
 */
import { HullError } from "../../contract/errors.ts";
import type { NetworkRecord, SubnetRecord } from "../records/types.ts";
import {
  type Address,
  bitsOf,
  contains,
  type Family,
  formatAddress,
  formatSubnet,
  lastOf,
  overlap,
  parseSubnet,
  requireAddress,
  requireSubnet,
  type Subnet,
} from "./address.ts";

/** A range to cut subnets of `size` leading bits from. */
export interface Pool {
  readonly base: string;
  readonly size: number;
}

/** The first one is the default network's; there is room for thousands more. Private ranges (RFC 1918). */
export const defaultPools: readonly Pool[] = [
  { base: "172.17.0.0/16", size: 16 },
  { base: "172.18.0.0/15", size: 20 },
  { base: "172.20.0.0/14", size: 20 },
  { base: "172.24.0.0/13", size: 20 },
  { base: "192.168.0.0/16", size: 24 },
  { base: "10.128.0.0/9", size: 20 },
];

/** The first subnet of the pools that nothing in `taken` overlaps. Throws `exhausted`. */
export function chooseSubnet(pools: readonly Pool[], taken: readonly Subnet[]): Subnet {
  const sorted = taken.toSorted((one, other) => (one.base < other.base ? -1 : one.base > other.base ? 1 : 0));
  for (const pool of pools) {
    const base = parseSubnet(pool.base);
    const found = base === undefined ? undefined : firstGap(base, pool.size, sorted);
    if (found !== undefined) return found;
  }
  throw new HullError("exhausted", {
    what: "subnets for networks",
    why: "every one of the configured pools is taken by a network or a route of the host: remove networks, or give one with --subnet",
  });
}

/** One walk along what is taken, which is sorted by first address: a candidate moves past all that it meets. */
function firstGap(pool: Subnet, length: number, taken: readonly Subnet[]): Subnet | undefined {
  const step = 1n << BigInt(bitsOf[pool.family] - length);
  const end = lastOf(pool);
  let at = pool.base;
  for (const obstacle of taken) {
    if (obstacle.family !== pool.family || lastOf(obstacle) < at) continue;
    if (obstacle.base >= at + step) break;
    const after = lastOf(obstacle) + 1n;
    at = pool.base + ((after - pool.base + step - 1n) / step) * step;
  }
  return at + step - 1n <= end ? { family: pool.family, base: at, length } : undefined;
}

/** IPv6 subnets of a daemon's own: unique local addresses (RFC 4193) whose 40 bits are made of `seed`. */
export function pool6(seed: Buffer): Pool {
  const value = (0xfdn << 120n) | (BigInt(`0x${seed.subarray(0, 5).toString("hex")}`) << 80n);
  return { base: formatSubnet({ family: 6, base: value, length: 48 }), size: 64 };
}

/** A subnet as a client gives it. */
interface GivenSubnet {
  readonly subnet: string;
  readonly gateway?: string | undefined;
  readonly range?: string | undefined;
  readonly auxiliary?: Readonly<Record<string, string>> | undefined;
}

/** Of one network: each is compared with all others. */
const mostSubnets = 64;

/** The subnets of a network as a client gives them. Throws `tooLarge` and `invalidParameter`. */
export function planSubnets(given: readonly GivenSubnet[]): SubnetRecord[] {
  if (given.length > mostSubnets)
    throw new HullError("tooLarge", {
      what: "the number of the network's subnets",
      value: given.length,
      limit: mostSubnets,
    });
  return given.map(planSubnet);
}

/** Checks a subnet and fills in the gateway. */
export function planSubnet(given: GivenSubnet): SubnetRecord {
  const subnet = requireSubnet(given.subnet, "subnet");
  const largest = subnet.family === 4 ? 30 : 126;
  if (subnet.length > largest)
    throw new HullError("invalidParameter", {
      what: "subnet",
      value: given.subnet,
      why: `it has no room for a gateway and a workload: its length is at most ${largest}`,
    });
  refuseSpecial(subnet, given.subnet);
  const within = (text: string, what: string): Address => {
    const address = requireAddress(text, what, subnet.family);
    if (contains(subnet, address)) return address;
    throw new HullError("invalidParameter", {
      what,
      value: text,
      why: `it is not in the subnet ${formatSubnet(subnet)}`,
    });
  };
  const auxiliary = Object.fromEntries(
    Object.entries(given.auxiliary ?? {}).map(([name, text]) => [
      name,
      formatAddress(within(text, `auxiliary address ${name}`)),
    ]),
  );
  const range = given.range === undefined || given.range === "" ? undefined : rangeOf(given.range, subnet);
  const gateway =
    given.gateway === undefined || given.gateway === ""
      ? firstFree(subnet, range, new Set(Object.values(auxiliary)))
      : within(given.gateway, "gateway");
  if (gateway.value === subnet.base || (gateway.family === 4 && gateway.value === lastOf(subnet)))
    throw new HullError("invalidParameter", {
      what: "gateway",
      value: formatAddress(gateway),
      why: "the first address of a subnet, and the last of an IPv4 one, are nobody's",
    });
  return {
    subnet: formatSubnet(subnet),
    gateway: formatAddress(gateway),
    ...(range === undefined ? {} : { range: formatSubnet(range) }),
    auxiliary,
  };
}

/** Loopback, multicast and "this network" (RFC 6890): addresses that no interface can have, or that mean the host itself. */
const special = ["0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/3", "::/127", "ff00::/8"].map((text) =>
  requireSubnet(text, "subnet"),
);

function refuseSpecial(subnet: Subnet, text: string): void {
  const other = special.find((one) => overlap(one, subnet));
  if (other !== undefined)
    throw new HullError("invalidParameter", {
      what: "subnet",
      value: text,
      why: `addresses of ${formatSubnet(other)} cannot be given to workloads`,
    });
}

function rangeOf(text: string, subnet: Subnet): Subnet {
  const range = parseSubnet(text);
  if (
    range === undefined ||
    range.length < subnet.length ||
    !contains(subnet, { family: range.family, value: range.base })
  )
    throw new HullError("invalidParameter", {
      what: "ip-range",
      value: text,
      why: `it is no part of the subnet ${formatSubnet(subnet)}`,
    });
  return range;
}

function firstFree(subnet: Subnet, range: Subnet | undefined, taken: ReadonlySet<string>): Address {
  const from = range ?? subnet;
  for (const value of candidates(subnet, from)) {
    const address = { family: subnet.family, value };
    if (!taken.has(formatAddress(address))) return address;
  }
  throw new HullError("exhausted", { what: `addresses in ${formatSubnet(subnet)}`, why: "all are taken" });
}

/** Usable addresses of `from`: all but the subnet's first and, for IPv4, its last. */
function* candidates(subnet: Subnet, from: Subnet): Generator<bigint> {
  const first = from.base === subnet.base ? from.base + 1n : from.base;
  const end = lastOf(from);
  const last = subnet.family === 4 && end === lastOf(subnet) ? end - 1n : end;
  for (let value = first; value <= last; value += 1n) yield value;
}

export interface AddressQuestion {
  readonly network: NetworkRecord;
  readonly family: Family;
  /** Addresses of workloads that are up, and those that were asked for by name. */
  readonly taken: ReadonlySet<string>;
  /** Addresses that workloads at rest would like to have again. */
  readonly remembered: ReadonlySet<string>;
  /** Asked for; it gets this one or none. */
  readonly wanted?: string | undefined;
  /** What it had before. */
  readonly before?: string | undefined;
}

/** Throws `exhausted`, `addressInUse` or `invalidParameter`. */
export function chooseAddress(question: AddressQuestion): string {
  const { network, family, taken, remembered, wanted, before } = question;
  const subnets = network.subnets
    .map((record) => ({ record, subnet: requireSubnet(record.subnet, "subnet") }))
    .filter(({ subnet }) => subnet.family === family);
  if (wanted !== undefined) return takeWanted(question, wanted, subnets);
  if (before !== undefined && !taken.has(before) && isUsable(subnets, before)) return before;
  for (const alsoRemembered of [remembered, new Set<string>()])
    for (const { record, subnet } of subnets) {
      const range = record.range === undefined ? subnet : requireSubnet(record.range, "ip-range");
      const others = new Set([record.gateway, ...Object.values(record.auxiliary)]);
      for (const value of candidates(subnet, range)) {
        const address = formatAddress({ family, value });
        if (!taken.has(address) && !others.has(address) && !alsoRemembered.has(address)) return address;
      }
    }
  throw new HullError("exhausted", {
    what: `IPv${family} addresses in network ${network.name}`,
    why: `all of ${subnets.map(({ record }) => record.range ?? record.subnet).join(", ")} are taken: disconnect workloads, or make a network with a larger subnet`,
  });
}

interface Candidate {
  readonly record: SubnetRecord;
  readonly subnet: Subnet;
}

function isUsable(subnets: readonly Candidate[], text: string): boolean {
  return subnets.some(
    ({ record, subnet }) =>
      contains(subnet, requireAddress(text, "address")) &&
      record.gateway !== text &&
      !Object.values(record.auxiliary).includes(text),
  );
}

function takeWanted(question: AddressQuestion, text: string, subnets: readonly Candidate[]): string {
  const { family, network, taken } = question;
  const address = requireAddress(text, `IPv${family} address`, family);
  const wanted = formatAddress(address);
  const candidate = subnets.find(({ subnet }) => contains(subnet, address));
  if (candidate === undefined)
    throw new HullError("invalidParameter", {
      what: `IPv${family} address`,
      value: text,
      why: `no configured subnet or ip-range of network ${network.name} contains it`,
    });
  const { subnet } = candidate;
  const reserved =
    address.value === subnet.base ||
    (family === 4 && address.value === lastOf(subnet)) ||
    candidate.record.gateway === wanted;
  if (reserved || taken.has(wanted))
    throw new HullError("addressInUse", { address: wanted, network: network.name });
  return wanted;
}

/** A hardware address made of the IPv4 address, as Docker does: who gets an address again gets this one again, too. */
export function macOf(address4: string | undefined, id: string): string {
  const tail =
    address4 === undefined
      ? Buffer.from(id.slice(0, 8), "hex")
      : Buffer.from(address4.split(".").map(Number));
  return ["02", "42", ...[...tail].map((byte) => byte.toString(16).padStart(2, "0"))].join(":");
}
