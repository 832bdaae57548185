/** Writes small tars in memory (ustar), for images that Hull makes itself. */
import { blockSize } from "./header.ts";

export interface TarMember {
  readonly path: string;
  readonly type: "file" | "directory" | "symlink" | "hardlink";
  readonly mode: number;
  /** Of a file. */
  readonly content?: Uint8Array;
  /** Of a symlink or a hard link. */
  readonly target?: string;
}

const typeFlags = { file: "0", hardlink: "1", symlink: "2", directory: "5" } as const;

/** Everything belongs to root and is from the epoch, so that the same members give the same bytes. */
export function* writeTar(members: Iterable<TarMember>): Generator<Uint8Array> {
  for (const member of members) {
    const content = member.content ?? new Uint8Array(0);
    yield header(member, content.length);
    yield content;
    if (content.length % blockSize !== 0) yield new Uint8Array(blockSize - (content.length % blockSize));
  }
  yield new Uint8Array(2 * blockSize);
}

function header(member: TarMember, size: number): Uint8Array {
  const block = Buffer.alloc(blockSize);
  text(block, 0, 100, member.path);
  octal(block, 100, 8, member.mode);
  octal(block, 108, 8, 0);
  octal(block, 116, 8, 0);
  octal(block, 124, 12, size);
  octal(block, 136, 12, 0);
  block.write(typeFlags[member.type], 156);
  text(block, 157, 100, member.target ?? "");
  block.write("ustar\0" + "00", 257, "latin1");
  octal(block, 329, 8, 0);
  octal(block, 337, 8, 0);
  block.fill(32, 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  octal(block, 148, 8, sum);
  return block;
}

function text(block: Buffer, at: number, length: number, value: string): void {
  if (Buffer.byteLength(value) > length) throw new Error(`${value} does not fit into ${length} bytes`);
  block.write(value, at);
}

function octal(block: Buffer, at: number, length: number, value: number): void {
  block.write(`${value.toString(8).padStart(length - 1, "0")}\0`, at, "latin1");
}
