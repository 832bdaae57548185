/** Entries as records (guest/protocol.md, "Files"): written, and read from a source that is not to be trusted. */
import { dataBytes, type FileEntry, type FileType, type LayerEntry, type WritePart } from "../files.ts";
import { endRecord, RecordError, RecordFields, RecordWriter } from "./fields.ts";
import { filesLimits } from "./protocol.ts";
import type { RecordSource } from "./source.ts";

const types: Readonly<Record<LayerEntry["type"], string>> = {
  file: "0",
  hardlink: "1",
  symlink: "2",
  "character-device": "3",
  "block-device": "4",
  directory: "5",
  fifo: "6",
  whiteout: "w",
};
const typesByCode = new Map<number, LayerEntry["type"]>();
for (const type of ["file", "hardlink", "symlink", "character-device", "block-device"] as const)
  typesByCode.set(types[type].charCodeAt(0), type);
for (const type of ["directory", "fifo", "whiteout"] as const)
  typesByCode.set(types[type].charCodeAt(0), type);

const pathLimit = 4096;
const nameLimit = 255;
const permissionBits = 0o7777;
const xattrNames = /^(user\..+|security\.capability|system\.posix_acl_(access|default))$/s;

type WrittenEntry = Extract<WritePart, { readonly entry: unknown }>["entry"];

export function encodeEntry(entry: WrittenEntry): Uint8Array {
  const writer = new RecordWriter()
    .u8(types[entry.type].charCodeAt(0))
    .u32(entry.mode & permissionBits)
    .u32(entry.uid)
    .u32(entry.gid)
    .i64(entry.mtime.seconds)
    .u32(entry.mtime.nanoseconds)
    .i64(entry.size)
    .u32(entry.deviceMajor)
    .u32(entry.deviceMinor)
    .text(entry.path)
    .text(entry.linkTarget);
  writer.u32(entry.sparse?.length ?? 0);
  for (const { offset, length } of entry.sparse ?? []) writer.i64(offset).i64(length);
  const xattrs = [...entry.xattrs].filter(([name]) => xattrNames.test(name));
  writer.u32(xattrs.length);
  for (const [name, value] of xattrs) writer.text(name).bytes(value);
  return writer.record();
}

/** Small records are sent together. */
const batchBytes = 64 * 1024;

export async function* encodeParts(parts: AsyncIterable<WritePart>): AsyncGenerator<Uint8Array> {
  let batch: Uint8Array[] = [];
  let size = 0;
  for await (const part of parts) {
    // Who gives data may use its memory again.
    const bytes = "entry" in part ? encodeEntry(part.entry) : Buffer.from(part.data);
    batch.push(bytes);
    size += bytes.length;
    if (size < batchBytes) continue;
    yield batch.length === 1 ? bytes : Buffer.concat(batch);
    batch = [];
    size = 0;
  }
  yield Buffer.concat([...batch, endRecord]);
}

/** The records of a source up to their end. Throws `RecordError`. */
export async function* decodeParts(
  source: RecordSource,
  withData: boolean,
): AsyncGenerator<{ readonly entry: LayerEntry } | { readonly data: Uint8Array }, void, undefined> {
  for (;;) {
    const body = source.ready() ?? (await source.record());
    if (body.length === 0) return;
    const entry = decodeEntry(body);
    yield { entry };
    if (!withData) continue;
    for (let left = dataBytes(entry); left > 0; ) {
      const data = await source.data(left);
      left -= data.length;
      yield { data };
    }
  }
}

export function decodeEntry(body: Buffer): LayerEntry {
  const fields = new RecordFields(body);
  const type = typesByCode.get(fields.u8());
  if (type === undefined) throw new RecordError("an entry is of no known type");
  const attributes = decodeAttributes(fields);
  const size = fields.u64();
  const [deviceMajor, deviceMinor] = [fields.u32(), fields.u32()];
  const path = fields.text();
  const linkTarget = fields.text();
  checkPath(path);
  if (type === "hardlink") checkPath(linkTarget);
  else if (linkTarget.length >= pathLimit || linkTarget.includes("\0"))
    throw new RecordError("the target of a link is no path");
  if (type !== "file" && size !== 0) throw new RecordError("an entry that is no file has data");
  if (deviceMajor > 0xfff || deviceMinor > 0xf_ffff) throw new RecordError("there is no such device");
  const sparse = decodeSegments(fields, size);
  const xattrs = decodeXattrs(fields);
  const opaque = fields.u8() !== 0;
  const below = decodeBelow(fields);
  return {
    ...{ type, path, linkTarget, size, deviceMajor, deviceMinor, sparse, xattrs, opaque, below },
    ...attributes,
  };
}

function decodeAttributes(fields: RecordFields): Pick<FileEntry, "mode" | "uid" | "gid" | "mtime"> {
  const [mode, uid, gid] = [fields.u32(), fields.u32(), fields.u32()];
  const mtime = { seconds: fields.i64(), nanoseconds: fields.u32() };
  if (mode > permissionBits) throw new RecordError("a mode has bits that mean nothing");
  if (mtime.nanoseconds >= 1_000_000_000 || Math.abs(mtime.seconds) >= 2 ** 40)
    throw new RecordError("a time is out of range");
  return { mode, uid, gid, mtime };
}

/** A path of one's own is relative and leads nowhere but down. */
function checkPath(path: string): void {
  if (path === "") return;
  const whole = path.length < pathLimit && !path.includes("\0");
  const parts = path.split("/");
  if (!whole || parts.some((part) => ["", ".", ".."].includes(part) || part.length > nameLimit))
    throw new RecordError("a path does not lead down");
}

function decodeSegments(fields: RecordFields, size: number): FileEntry["sparse"] {
  const count = fields.u32();
  if (count === 0) return undefined;
  if (count > filesLimits.segments) throw new RecordError("a sparse file has too many segments");
  const segments: { offset: number; length: number }[] = [];
  let end = 0;
  for (let index = 0; index < count; index++) {
    const segment = { offset: fields.u64(), length: fields.u64() };
    if (segment.offset < end || segment.length > size - segment.offset)
      throw new RecordError("the segments of a sparse file do not fit into it");
    end = segment.offset + segment.length;
    segments.push(segment);
  }
  return segments;
}

function decodeXattrs(fields: RecordFields): Map<string, Uint8Array> {
  const xattrs = new Map<string, Uint8Array>();
  const count = fields.u32();
  if (count > filesLimits.xattrs) throw new RecordError("a file has too many extended attributes");
  for (let index = 0; index < count; index++) {
    const name = fields.text();
    if (!xattrNames.test(name) || name.length > nameLimit || name.includes("\0"))
      throw new RecordError("an extended attribute has a name that is not given away");
    xattrs.set(name, fields.bytes());
  }
  return xattrs;
}

function decodeBelow(fields: RecordFields): LayerEntry["below"] {
  const code = fields.u8();
  const attributes = decodeAttributes(fields);
  const size = fields.u64();
  if (code === 0) return undefined;
  const type: LayerEntry["type"] | undefined = typesByCode.get(code);
  if (type === undefined || type === "whiteout") throw new RecordError("an entry is of no known type");
  return { type: type satisfies FileType, ...attributes, size };
}
