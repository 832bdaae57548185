/**
 * PAX extended headers: records of `LENGTH KEY=VALUE\n`, where LENGTH counts bytes. Values may be binary
 * (SCHILY.xattr.*), so a record is split by its length and never decoded as text.
 * Source: POSIX.1-2017 pax, "pax Extended Header"; star(5) for SCHILY.*; GNU tar manual, "Storing Sparse Files".
 */
import { aclFromText } from "./acl-text.ts";
import type { SparseSegment, Timestamp } from "./entry.ts";
import { TarFormatError } from "./header.ts";
import { tarLimits } from "./limits.ts";

/** The records that matter here; a key that was given an empty value is present and empty: it undoes the global one. */
export interface PaxRecords {
  readonly values: Map<string, Uint8Array>;
  /** GNU.sparse 0.0 repeats its keys, once for each segment. */
  readonly sparse: SparseSegment[];
}

export function parsePax(payload: Buffer): PaxRecords {
  const values = new Map<string, Uint8Array>();
  const sparse: SparseSegment[] = [];
  let pendingOffset: number | undefined;
  for (let at = 0; at < payload.length; ) {
    const { key, value, next } = parseRecord(payload, at);
    at = next;
    if (key === "GNU.sparse.offset") pendingOffset = paxSize(value, key);
    else if (key === "GNU.sparse.numbytes") {
      if (pendingOffset === undefined) throw new TarFormatError(`a ${key} comes without its offset`);
      sparse.push({ offset: pendingOffset, length: paxSize(value, key) });
      pendingOffset = undefined;
    } else if (matters(key)) values.set(key, value);
  }
  return { values, sparse };
}

const keys = new Set(["path", "linkpath", "size", "uid", "gid", "mtime"]);
const prefixes = ["GNU.sparse.", "SCHILY.xattr.", "LIBARCHIVE.xattr.", "SCHILY.acl."];

function matters(key: string): boolean {
  return keys.has(key) || prefixes.some((prefix) => key.startsWith(prefix));
}

function parseRecord(payload: Buffer, start: number): { key: string; value: Uint8Array; next: number } {
  let length = 0;
  let at = start;
  for (; at < payload.length && at - start < 8; at++) {
    const digit = (payload[at] ?? 0) - 48;
    if (digit < 0 || digit > 9) break;
    length = length * 10 + digit;
  }
  const end = start + length;
  if (at === start || payload[at] !== 32 || end > payload.length || end < at + 3 || payload[end - 1] !== 10)
    throw new TarFormatError("its extended header is not a list of records");
  const equals = payload.indexOf(61, at); // =
  if (equals <= at + 1 || equals >= end - 1)
    throw new TarFormatError("a record of its extended header is not KEY=VALUE");
  return {
    key: payload.toString("latin1", at + 1, equals),
    value: payload.subarray(equals + 1, end - 1),
    next: end,
  };
}

/** A name; NUL cannot be in one. */
export function paxName(value: Uint8Array, key: string): string {
  if (value.includes(0)) throw new TarFormatError(`the ${key} of its extended header has a NUL byte`);
  return latin1(value);
}

export function paxSize(value: Uint8Array, key: string): number {
  const text = latin1(value);
  const number = Number(text);
  if (!/^\d{1,19}$/.test(text)) throw new TarFormatError(`the ${key} of its extended header is not a number`);
  if (!Number.isSafeInteger(number))
    throw new TarFormatError(`the ${key} of its extended header is too large`);
  return number;
}

export function paxId(value: Uint8Array, key: string): number {
  const text = latin1(value);
  if (!/^-?\d{1,12}$/.test(text))
    throw new TarFormatError(`the ${key} of its extended header is not a number`);
  return Number(text);
}

/** Decimal seconds with an optional fraction; digits beyond nanoseconds are cut off towards the past, as GNU tar does. */
export function paxTime(value: Uint8Array, key: string): Timestamp {
  const match = /^(-?)(\d{1,15})(?:\.(\d*))?$/.exec(latin1(value));
  if (match === null) throw new TarFormatError(`the ${key} of its extended header is not a time`);
  const fraction = match[3] ?? "";
  const seconds = Number(match[2]);
  const nanoseconds = Number(fraction.slice(0, 9).padEnd(9, "0"));
  if (match[1] !== "-") return { seconds, nanoseconds };
  const rounded = /[1-9]/.test(fraction.slice(9)) ? nanoseconds + 1 : nanoseconds;
  return rounded === 0
    ? { seconds: 0 - seconds, nanoseconds: 0 }
    : { seconds: 0 - seconds - 1, nanoseconds: 1_000_000_000 - rounded };
}

/** GNU.sparse.map of version 0.1: `offset,length,offset,length…`. */
export function paxSparseMap(value: Uint8Array): SparseSegment[] {
  const segments: SparseSegment[] = [];
  const text = latin1(value);
  if (text === "") return segments;
  const numbers = text.split(",");
  if (numbers.length % 2 !== 0) throw new TarFormatError("its sparse map is not a list of pairs");
  for (let i = 0; i < numbers.length; i += 2)
    segments.push({ offset: decimal(numbers[i]), length: decimal(numbers[i + 1]) });
  return segments;
}

/** Extended attributes, by full name. LIBARCHIVE's base64 form is used only for what SCHILY's raw form does not give. */
export function paxXattrs(values: ReadonlyMap<string, Uint8Array>): Map<string, Uint8Array> {
  const xattrs = new Map<string, Uint8Array>();
  if (values.size === 0) return xattrs;
  for (const [key, value] of values) {
    if (key.startsWith("SCHILY.xattr."))
      xattrs.set(checkXattrName(key.slice("SCHILY.xattr.".length)), checkXattr(key, value));
  }
  for (const [key, value] of values) {
    if (!key.startsWith("LIBARCHIVE.xattr.")) continue;
    const name = key
      .slice("LIBARCHIVE.xattr.".length)
      .replaceAll(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
    if (!xattrs.has(name))
      xattrs.set(checkXattrName(name), checkXattr(key, Buffer.from(latin1(value), "base64")));
  }
  for (const kind of ["access", "default"]) {
    const text = values.get(`SCHILY.acl.${kind}`);
    const acl = text && aclFromText(latin1(text));
    const name = `system.posix_acl_${kind}`;
    if (acl !== undefined && !xattrs.has(name)) xattrs.set(name, checkXattr(name, acl));
  }
  return xattrs;
}

/** The kernel lists names with a NUL behind each: one in a name would make two of it. */
function checkXattrName(name: string): string {
  if (name.includes("\0")) throw new TarFormatError("the name of an extended attribute has a NUL byte");
  return name;
}

function checkXattr(key: string, value: Uint8Array): Uint8Array {
  if (value.length > tarLimits.xattrValueBytes)
    throw new TarFormatError(
      `its ${key} has ${value.length} bytes, over the limit of ${tarLimits.xattrValueBytes}`,
    );
  // A copy: a small value must not keep a whole header in memory.
  return new Uint8Array(value);
}

export function decimal(text: string | undefined): number {
  const number = Number(text);
  if (text === undefined || !/^\d{1,19}$/.test(text) || !Number.isSafeInteger(number))
    throw new TarFormatError("its sparse map has something that is not a number");
  return number;
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}
