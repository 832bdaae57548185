/**
 * Which workloads are restricted, and which addresses the names that they may reach led to. The kernel holds the same
 * in its sets; this is what the rules are written from anew, and what the next daemon reads back from the kernel.
 */
import { networkInterfaces } from "node:os";
import type { FoundElement } from "../../host/network/nft-elements.ts";
import {
  addressOfBytes,
  bytesOf,
  contains,
  formatAddress,
  parseAddress,
  requireSubnet,
} from "../addresses/address.ts";
import { recordsOf, recordType } from "../dns/message.ts";
import { allowsName, type Reach, reachText } from "./allow-list.ts";
import { type ReachSet, type Restriction, setsOf } from "./rules.ts";

/** Seconds that an address stays reachable after its answer: as long as the answer says, within these. */
const shortest = 60;
const longest = 3600;
/** Addresses of one workload: who owns an allowed name could fill the kernel's memory. */
const mostGranted = 4096;

/** Never what a name of the world leads to, whoever answers: this host, its links, and groups of hosts. */
const neverGranted = [
  ...["0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3"],
  ...["::/127", "::ffff:0:0/96", "fe80::/10", "ff00::/8"],
].map((text) => requireSubnet(text, "subnet"));

export interface Grant {
  readonly set: string;
  readonly address: Buffer;
  /** Milliseconds. */
  readonly timeout: number;
}

export class Egress {
  readonly #restrictions = new Map<string, Restriction>();
  /** By workload and name: addresses, and when each runs out on the clock of `now`. */
  readonly #granted = new Map<string, Map<string, Map<string, number>>>();
  readonly #now: () => number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  get restrictions(): readonly Restriction[] {
    return [...this.#restrictions.values()];
  }

  /** What names led to stays, if the list still allows them. */
  put(restriction: Restriction): void {
    this.#restrictions.set(restriction.id, restriction);
    const names = this.#granted.get(restriction.id);
    for (const name of names?.keys() ?? []) if (reachesOf(restriction, name).size === 0) names?.delete(name);
  }

  delete(workload: string): boolean {
    this.#granted.delete(workload);
    return this.#restrictions.delete(workload);
  }

  mayAsk(workload: string, name: string): boolean {
    const restriction = this.#restrictions.get(workload);
    return restriction === undefined || restriction.allowed.some((allowed) => allowsName(allowed, name));
  }

  /** What an answer about a name lets the workload reach from now on; undefined: it has reached too much already. */
  learn(workload: string, name: string, answer: Buffer): Grant[] | undefined {
    const restriction = this.#restrictions.get(workload);
    if (restriction === undefined) return [];
    const reaches = reachesOf(restriction, name);
    const sets = setsOf(restriction).filter(({ reach }) => reaches.has(reachText(reach)));
    const grants: Grant[] = [];
    const own = ownAddresses();
    for (const { type, data, ttl, section } of recordsOf(answer) ?? []) {
      const six = type === recordType.aaaa && data.length === 16;
      if (section !== "answer" || !(six || (type === recordType.a && data.length === 4))) continue;
      if (!mayBeGranted(data, own)) continue;
      if (this.#countOf(workload) >= mostGranted) return undefined;
      const timeout = Math.min(longest, Math.max(shortest, ttl)) * 1000;
      if (!this.#put(workload, name, data, timeout)) continue;
      for (const { set } of sets.filter((one) => one.six === six))
        grants.push({ set, address: Buffer.from(data), timeout });
    }
    return grants;
  }

  /** Takes over what the kernel has of an earlier daemon's; whose names they were nobody knows any more. */
  adopt(workload: string, reach: Reach, elements: readonly FoundElement[]): void {
    for (const { key, expires } of elements)
      if (expires !== undefined && expires > 0) this.#put(workload, anonymous(reach), key, expires);
  }

  /** What a set is to have now. */
  granted({ id, allowed }: Restriction, { six, reach }: ReachSet): [address: string, left: number][] {
    const now = this.#now();
    const found = new Map<string, number>();
    for (const [name, addresses] of this.#granted.get(id) ?? []) {
      if (!reachesOf({ allowed }, name).has(reachText(reach))) continue;
      for (const [address, until] of addresses)
        if (until > now && address.includes(":") === six)
          found.set(address, Math.max(found.get(address) ?? 0, until - now));
    }
    return [...found];
  }

  /** False when it is there already, for about as long. */
  #put(workload: string, name: string, address: Buffer, timeout: number): boolean {
    const now = this.#now();
    const names = this.#granted.get(workload) ?? new Map<string, Map<string, number>>();
    const addresses = names.get(name) ?? new Map<string, number>();
    this.#granted.set(workload, names.set(name, addresses));
    for (const [old, until] of addresses) if (until <= now) addresses.delete(old);
    const text = formatAddress(addressOfBytes(address));
    if ((addresses.get(text) ?? 0) >= now + timeout - 1000) return false;
    addresses.set(text, now + timeout);
    return true;
  }

  #countOf(workload: string): number {
    return [...(this.#granted.get(workload)?.values() ?? [])].reduce((sum, { size }) => sum + size, 0);
  }
}

/** No name of the world's begins so. */
function anonymous(reach: Reach): string {
  return `/${reachText(reach)}`;
}

/** The reaches that a name is allowed with. */
function reachesOf({ allowed }: Pick<Restriction, "allowed">, name: string): Set<string> {
  return new Set(
    allowed
      .filter((one) => allowsName(one, name) || (one.kind === "name" && anonymous(one.reach) === name))
      .map(({ reach }) => reachText(reach)),
  );
}

/** The host's, as they are in messages, in hexadecimal. */
function ownAddresses(): Set<string> {
  const texts = Object.values(networkInterfaces()).flatMap((interfaces) =>
    (interfaces ?? []).map(({ address }) => address.replace(/%.*$/, "")),
  );
  return new Set(
    texts.flatMap((text) => {
      const parsed = parseAddress(text);
      return parsed === undefined ? [] : [bytesOf(parsed).toString("hex")];
    }),
  );
}

/** `own`: the host's own addresses are allowed by address, or as host.docker.internal. */
function mayBeGranted(data: Buffer, own: ReadonlySet<string>): boolean {
  const address = addressOfBytes(data);
  return !neverGranted.some((subnet) => contains(subnet, address)) && !own.has(data.toString("hex"));
}
