/**
 * Extended attributes: which ones a layer keeps, and how EROFS stores them beside the inode.
 * Source: Linux fs/erofs/erofs_fs.h (erofs_xattr_ibody_header, erofs_xattr_entry), include/uapi/linux/xattr.h.
 */
import type { FileType } from "../../contract/file-type.ts";

/** EROFS stores a number for the prefix. ACLs have a number for the whole name. */
const prefixes: readonly (readonly [prefix: string, index: number])[] = [
  ["user.", 1],
  ["trusted.", 4],
  ["security.", 6],
];
const wholeNames: Readonly<Record<string, number>> = {
  "system.posix_acl_access": 2,
  "system.posix_acl_default": 3,
};

/** Overlayfs reads its own state from these: a layer that brings them could forge what it has no right to say. */
const overlayPrefix = "trusted.overlay.";
/** A label is for the host's policy to give: one that an image brings would choose what may be done with its files. */
const selinuxLabel = "security.selinux";

export const opaqueXattr = "trusted.overlay.opaque";

const capabilityName = "security.capability";
/** Bytes of each revision of a file's capabilities that can be set (include/uapi/linux/capability.h). */
const capabilityBytes: Readonly<Record<number, number>> = { 2: 20, 3: 24 };
const headerBytes = 12;
const entryHeaderBytes = 4;
/** The count of an inode's attribute bytes has 16 bits and counts in fours after the header. */
export const maxXattrBytes = headerBytes + 4 * (0xffff - 1);

/**
 * Those of `xattrs` that a layer keeps: names of kinds that Linux has, overlayfs' own left out; undefined for none.
 * `user.` is for files and directories only: of anything else the kernel lists it and then denies it.
 */
export function keepXattrs(
  xattrs: ReadonlyMap<string, Uint8Array>,
  type: FileType,
): Map<string, Uint8Array> | undefined {
  if (xattrs.size === 0) return undefined;
  const kept = new Map<string, Uint8Array>();
  for (const [name, value] of xattrs) {
    if (name.startsWith(overlayPrefix) || name === selinuxLabel || splitName(name) === undefined) continue;
    if (name.startsWith("user.") && type !== "file" && type !== "directory") continue;
    if (Object.hasOwn(wholeNames, name) && !isAcl(value)) continue;
    // The kernel would not have let it be set, and takes offence when it reads it.
    if (name === capabilityName && !isCapability(value)) continue;
    kept.set(name, value);
  }
  return kept.size > 0 ? kept : undefined;
}

/** Bytes that `encodeXattrs` makes. */
export function xattrBytes(xattrs: ReadonlyMap<string, Uint8Array> | undefined): number {
  if (xattrs === undefined || xattrs.size === 0) return 0;
  let bytes = headerBytes;
  for (const [name, value] of xattrs) bytes += entryBytes(splitName(name)?.suffix.length ?? 0, value.length);
  return bytes;
}

export function encodeXattrs(xattrs: ReadonlyMap<string, Uint8Array> | undefined): Buffer {
  const out = Buffer.alloc(xattrBytes(xattrs));
  if (xattrs === undefined) return out;
  // The header is all zero: no attributes that are shared between inodes.
  let at = headerBytes;
  for (const [name, value] of xattrs) {
    const split = splitName(name);
    if (split === undefined) throw new Error(`${name} was not to be kept`);
    out.writeUInt8(split.suffix.length, at);
    out.writeUInt8(split.index, at + 1);
    out.writeUInt16LE(value.length, at + 2);
    out.write(split.suffix, at + entryHeaderBytes, "latin1");
    out.set(value, at + entryHeaderBytes + split.suffix.length);
    at += entryBytes(split.suffix.length, value.length);
  }
  return out;
}

/** The other way: attributes as they lie beside an inode, full names to values. */
export function decodeXattrs(bytes: Buffer): Map<string, Uint8Array> {
  const found = new Map<string, Uint8Array>();
  for (let at = headerBytes; at + entryHeaderBytes <= bytes.length; ) {
    const nameLength = bytes.readUInt8(at);
    const index = bytes.readUInt8(at + 1);
    const valueLength = bytes.readUInt16LE(at + 2);
    const name = at + entryHeaderBytes;
    const value = name + nameLength;
    if (value + valueLength > bytes.length) break;
    const prefix = prefixes.find(([, number]) => number === index)?.[0];
    const whole = Object.entries(wholeNames).find(([, number]) => number === index)?.[0];
    const full = whole ?? (prefix === undefined ? undefined : prefix + bytes.toString("latin1", name, value));
    if (full !== undefined) found.set(full, new Uint8Array(bytes.subarray(value, value + valueLength)));
    at += entryBytes(nameLength, valueLength);
  }
  return found;
}

function entryBytes(nameLength: number, valueLength: number): number {
  return Math.ceil((entryHeaderBytes + nameLength + valueLength) / 4) * 4;
}

function splitName(name: string): { index: number; suffix: string } | undefined {
  const whole = Object.hasOwn(wholeNames, name) ? wholeNames[name] : undefined;
  if (whole !== undefined) return { index: whole, suffix: "" };
  for (const [prefix, index] of prefixes) {
    if (!name.startsWith(prefix)) continue;
    const suffix = name.slice(prefix.length);
    return suffix !== "" && name.length <= 255 ? { index, suffix } : undefined;
  }
  return undefined;
}

/** The shape of an ACL (include/uapi/linux/posix_acl_xattr.h): a version of 2, then 8 bytes for each entry. */
function isAcl(value: Uint8Array): boolean {
  return (
    value.length >= 4 && (value.length - 4) % 8 === 0 && value[0] === 2 && value[1] === 0 && value[2] === 0
  );
}

/** The revision is in the highest byte of the first number, the flag `effective` in its lowest bit; nothing else is. */
function isCapability(value: Uint8Array): boolean {
  return (
    capabilityBytes[value[3] ?? 0] === value.length &&
    ((value[0] ?? 0) & ~1) === 0 &&
    value[1] === 0 &&
    value[2] === 0
  );
}
