/** Internet addresses of both families as numbers, so that subnets can be counted through. */
import { isIP } from "node:net";
import { HullError } from "../../contract/errors.ts";

export type Family = 4 | 6;

export interface Address {
  readonly family: Family;
  readonly value: bigint;
}

export interface Subnet {
  readonly family: Family;
  /** First address. */
  readonly base: bigint;
  /** Leading bits that name the network. */
  readonly length: number;
}

export const bitsOf: Readonly<Record<Family, number>> = { 4: 32, 6: 128 };

export function parseAddress(text: string): Address | undefined {
  switch (isIP(text)) {
    case 4:
      return { family: 4, value: numberOf(text.split(".").map(Number), 8) };
    case 6:
      return text.includes("%") ? undefined : { family: 6, value: numberOf(groupsOf(text), 16) };
    default:
      return undefined;
  }
}

/** Throws `invalidParameter`; `what` names the parameter. */
export function requireAddress(text: string, what: string, family?: Family): Address {
  const address = parseAddress(text);
  if (address === undefined || (family !== undefined && address.family !== family))
    throw new HullError("invalidParameter", {
      what,
      value: text,
      why: `it is no IP${family === undefined ? "" : `v${family}`} address`,
    });
  return address;
}

export function formatAddress({ family, value }: Address): string {
  if (family === 4)
    return [24n, 16n, 8n, 0n].map((shift) => String(Number((value >> shift) & 0xffn))).join(".");
  const groups = Array.from({ length: 8 }, (_, index) =>
    Number((value >> BigInt(112 - index * 16)) & 0xffffn),
  );
  return compressed(groups);
}

export function bytesOf({ family, value }: Address): Buffer {
  return Buffer.from(value.toString(16).padStart(bitsOf[family] / 4, "0"), "hex");
}

/** Throws `invalidParameter`; `what` names the parameter. */
export function bytesOfText(text: string, what: string): Buffer {
  return bytesOf(requireAddress(text, what));
}

export function addressOfBytes(bytes: Buffer): Address {
  return { family: bytes.length === 4 ? 4 : 6, value: BigInt(`0x${bytes.toString("hex")}`) };
}

export function parseSubnet(text: string): Subnet | undefined {
  const [head = "", tail = "", more] = text.split("/");
  const address = parseAddress(head);
  if (address === undefined || more !== undefined || !/^\d{1,3}$/.test(tail)) return undefined;
  const length = Number(tail);
  if (length > bitsOf[address.family]) return undefined;
  return { family: address.family, base: baseOf(address, length), length };
}

/** Throws `invalidParameter` for what is no subnet, and for one whose address has bits beyond its length. */
export function requireSubnet(text: string, what: string): Subnet {
  const subnet = parseSubnet(text);
  if (subnet === undefined)
    throw new HullError("invalidParameter", { what, value: text, why: "write it as 172.30.0.0/16" });
  const address = parseAddress(text.split("/")[0] ?? "");
  if (address?.value !== subnet.base)
    throw new HullError("invalidParameter", {
      what,
      value: text,
      why: `it has bits beyond its length: it should be ${formatSubnet(subnet)}`,
    });
  return subnet;
}

export function formatSubnet({ family, base, length }: Subnet): string {
  return `${formatAddress({ family, value: base })}/${length}`;
}

export function lastOf({ family, base, length }: Subnet): bigint {
  return base + (1n << BigInt(bitsOf[family] - length)) - 1n;
}

export function contains(subnet: Subnet, { family, value }: Address): boolean {
  return subnet.family === family && value >= subnet.base && value <= lastOf(subnet);
}

export function overlap(one: Subnet, other: Subnet): boolean {
  return one.family === other.family && one.base <= lastOf(other) && other.base <= lastOf(one);
}

function baseOf({ family, value }: Address, length: number): bigint {
  const free = BigInt(bitsOf[family] - length);
  return (value >> free) << free;
}

function numberOf(parts: readonly number[], bits: number): bigint {
  return parts.reduce((value, part) => (value << BigInt(bits)) | BigInt(part), 0n);
}

/** The eight groups of an IPv6 address that is known to be one. */
function groupsOf(text: string): number[] {
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  const plain = dotted === null ? text : `${dotted[1]}${hexOfDotted(dotted[2] ?? "")}`;
  const [head = "", tail] = plain.split("::");
  const groups = (part: string): number[] =>
    part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16));
  if (tail === undefined) return groups(head);
  const [before, after] = [groups(head), groups(tail)];
  return [...before, ...new Array<number>(8 - before.length - after.length).fill(0), ...after];
}

function hexOfDotted(text: string): string {
  const [a = 0, b = 0, c = 0, d = 0] = text.split(".").map(Number);
  return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
}

/** RFC 5952: the longest run of two or more zero groups becomes `::`. */
function compressed(groups: readonly number[]): string {
  let [start, length] = [0, 0];
  for (let at = 0; at < groups.length; at += 1) {
    let end = at;
    while (groups[end] === 0) end += 1;
    if (end - at > length) [start, length] = [at, end - at];
    at = Math.max(at, end - 1);
  }
  const hex = groups.map((group) => group.toString(16));
  if (length < 2) return hex.join(":");
  return `${hex.slice(0, start).join(":")}::${hex.slice(start + length).join(":")}`;
}
