/** Tars with whatever in their headers: what an archiver never writes and an attacker does. */
import { blockSize } from "../tar/header.ts";

export interface RawMember {
  readonly name: string;
  /** The type flag; "0", a file, when not given. */
  readonly type?: string;
  readonly link?: string;
  readonly mode?: number;
  readonly device?: readonly [major: number, minor: number];
  readonly data?: Uint8Array | string;
  /** What the header says of the size, whatever there is. */
  readonly claimedSize?: number;
  /** Bytes written over the header at an offset, before its checksum is made. */
  readonly fields?: Readonly<Record<number, string>>;
  /** Records of a PAX header before it: `key=value`. */
  readonly pax?: readonly string[];
}

/** All strings are latin1: one character for each byte. */
export function rawTar(...members: readonly RawMember[]): Buffer {
  return Buffer.concat([...members.flatMap(blocksOf), Buffer.alloc(2 * blockSize)]);
}

export const directory = (name: string, more: Partial<RawMember> = {}): RawMember => ({
  name,
  type: "5",
  mode: 0o755,
  ...more,
});
export const symlink = (name: string, link: string): RawMember => ({ name, type: "2", link, mode: 0o777 });
export const hardlink = (name: string, link: string): RawMember => ({ name, type: "1", link });
export const file = (name: string, data = name): RawMember => ({ name, data });

/** A header of another kind (PAX, GNU's long names) with its payload. */
export function extension(type: string, payload: string | Uint8Array): Buffer {
  const bytes = bytesOf(payload);
  return Buffer.concat([headerOf({ name: "extension", type }, bytes.length), padded(bytes)]);
}

function blocksOf(member: RawMember): Buffer[] {
  const data = bytesOf(member.data ?? "");
  const header = headerOf(member, member.claimedSize ?? data.length);
  const before = member.pax === undefined ? [] : [extension("x", member.pax.map(record).join(""))];
  return [...before, header, padded(data)];
}

function headerOf(member: RawMember, size: number): Buffer {
  const block = Buffer.alloc(blockSize);
  block.write(member.name, 0, 100, "latin1");
  octal(block, 100, 8, member.mode ?? 0o644);
  octal(block, 108, 8, 0);
  octal(block, 116, 8, 0);
  octal(block, 124, 12, size);
  octal(block, 136, 12, 0);
  block.write(member.type ?? "0", 156, "latin1");
  block.write(member.link ?? "", 157, 100, "latin1");
  block.write("ustar\0" + "00", 257, "latin1");
  const [major, minor] = member.device ?? [0, 0];
  octal(block, 329, 8, major);
  octal(block, 337, 8, minor);
  for (const [at, text] of Object.entries(member.fields ?? {})) block.write(text, Number(at), "latin1");
  block.fill(32, 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return block;
}

function octal(block: Buffer, at: number, length: number, value: number): void {
  block.write(`${value.toString(8).padStart(length - 1, "0")}\0`, at, "latin1");
}

function record(text: string): string {
  let length = text.length + 2;
  while (`${length} ${text}\n`.length !== length) length = `${length} ${text}\n`.length;
  return `${length} ${text}\n`;
}

function bytesOf(data: string | Uint8Array): Uint8Array {
  return typeof data === "string" ? Buffer.from(data, "latin1") : data;
}

function padded(bytes: Uint8Array): Buffer {
  const out = Buffer.alloc(Math.ceil(bytes.length / blockSize) * blockSize);
  out.set(bytes);
  return out;
}
