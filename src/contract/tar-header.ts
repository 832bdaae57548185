/**
 * Headers of a tar: ustar with PAX records for what does not fit. Client and daemon both write tars: a build's
 * context goes over the wire as one, and a build's layer is one.
 *
 * Names are latin1 strings, one character per byte, so that names which are not UTF-8 survive.
 * Source: POSIX.1-2017 pax, "Extended Header", "ustar Interchange Format"; star(5) for SCHILY.xattr.
 */
import type { FileType } from "./file-type.ts";

export const tarBlock = 512;

export interface TarHeader {
  readonly path: string;
  readonly type: FileType;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeSeconds: number;
  /** Bytes of a file. */
  readonly size: number;
  /** Of a symlink or a hard link. */
  readonly linkTarget?: string;
  readonly major?: number;
  readonly minor?: number;
  readonly xattrs?: ReadonlyMap<string, Uint8Array>;
  /** More PAX records. */
  readonly records?: Readonly<Record<string, string | number>>;
}

const typeFlags: Readonly<Record<FileType, string>> = {
  file: "0",
  hardlink: "1",
  symlink: "2",
  "character-device": "3",
  "block-device": "4",
  directory: "5",
  fifo: "6",
};

const nameBytes = 100;
const largestOctal7 = 0o7777777;
const largestOctal11 = 0o77777777777;

/** The blocks in front of a member's data. The same member gives the same bytes. */
export function tarHeader(header: TarHeader): Uint8Array {
  const name = header.type === "directory" && !header.path.endsWith("/") ? `${header.path}/` : header.path;
  const link = header.linkTarget ?? "";
  const records: Buffer[] = [];
  if (name.length > nameBytes || !isAscii(name)) records.push(record("path", Buffer.from(name, "latin1")));
  if (link.length > nameBytes || !isAscii(link))
    records.push(record("linkpath", Buffer.from(link, "latin1")));
  if (header.size > largestOctal11) records.push(record("size", header.size));
  if (header.uid > largestOctal7) records.push(record("uid", header.uid));
  if (header.gid > largestOctal7) records.push(record("gid", header.gid));
  const time = Math.trunc(header.mtimeSeconds);
  if (time < 0 || time > largestOctal11) records.push(record("mtime", time));
  for (const [xattr, value] of [...(header.xattrs ?? [])].sort(([a], [b]) => (a < b ? -1 : 1)))
    records.push(record(`SCHILY.xattr.${xattr}`, value));
  const main = block(header, name, link);
  for (const [key, value] of Object.entries(header.records ?? {}))
    records.push(record(key, Buffer.from(String(value), "latin1")));
  if (records.length === 0) return main;
  const body = Buffer.concat(records);
  const extended = block(
    { path: "", type: "file", mode: 0o644, uid: 0, gid: 0, mtimeSeconds: 0, size: body.length },
    "PaxHeaders/member",
    "",
    "x",
  );
  return Buffer.concat([extended, body, tarPadding(body.length), main]);
}

/** What fills the last block of `bytes` of data. */
export function tarPadding(bytes: number): Uint8Array {
  return new Uint8Array((tarBlock - (bytes % tarBlock)) % tarBlock);
}

/** The end of a tar. */
export const tarEnd: Uint8Array = new Uint8Array(2 * tarBlock);

function record(key: string, value: Uint8Array | number): Buffer {
  const bytes = typeof value === "number" ? Buffer.from(String(value)) : value;
  const rest = Buffer.byteLength(key, "latin1") + bytes.length + 3;
  // The length counts its own digits.
  let length = rest + String(rest).length;
  if (String(length).length > String(rest).length) length += 1;
  return Buffer.concat([Buffer.from(`${length} ${key}=`, "latin1"), bytes, Buffer.from("\n")]);
}

function block(header: TarHeader, name: string, link: string, flag = typeFlags[header.type]): Buffer {
  const out = Buffer.alloc(tarBlock);
  out.write(name.slice(0, nameBytes), 0, "latin1");
  octal(out, 100, 8, header.mode);
  octal(out, 108, 8, Math.min(header.uid, largestOctal7));
  octal(out, 116, 8, Math.min(header.gid, largestOctal7));
  octal(out, 124, 12, header.type === "file" ? Math.min(header.size, largestOctal11) : 0);
  octal(out, 136, 12, Math.min(Math.max(0, Math.trunc(header.mtimeSeconds)), largestOctal11));
  out.write(flag, 156, "latin1");
  out.write(link.slice(0, nameBytes), 157, "latin1");
  out.write("ustar\x0000", 257, "latin1");
  octal(out, 329, 8, header.major ?? 0);
  octal(out, 337, 8, header.minor ?? 0);
  out.fill(32, 148, 156);
  octal(
    out,
    148,
    7,
    out.reduce((total, byte) => total + byte, 0),
  );
  return out;
}

function octal(out: Buffer, at: number, length: number, value: number): void {
  out.write(`${value.toString(8).padStart(length - 1, "0")}\0`, at, "latin1");
}

function isAscii(text: string): boolean {
  for (let index = 0; index < text.length; index++) if (text.charCodeAt(index) > 126) return false;
  return true;
}
