/**
 * Reads a layer's EROFS file without mounting it: the other side of erofs-format.ts, for layers that this program
 * wrote (4 KiB blocks, 64-byte inodes, nothing compressed, attributes beside their inodes).
 *
 * Everything read is checked against the file's size, so that a damaged layer is an error and never a hang.
 */
import { closeSync, fstatSync, openSync, read, readSync } from "node:fs";
import { promisify } from "node:util";
import { HullError } from "../../contract/errors.ts";
import {
  blockBits,
  blockSize,
  direntSize,
  holeBlock,
  inodeSize,
  layout,
  modeBits,
  slotSize,
  superblockOffset,
} from "./erofs-format.ts";
import type { Inode } from "./inode.ts";
import { decodeXattrs } from "./xattrs.ts";

const readAsync = promisify(read);
const magic = 0xe0f5e1e2;
const chunkBytes = 256 * 1024;
/** A directory of a million names of 255 bytes. */
const maxDirectoryBytes = 300_000_000;
const typeMask = 0o170000;
const zeros = Buffer.alloc(chunkBytes);

export type LayerNodeKind = Inode["kind"];

const kinds = new Map(
  Object.entries(modeBits).map(([kind, bits]) => [bits, kind as LayerNodeKind]), // The keys are the kinds.
);

export interface LayerNode {
  readonly nid: number;
  readonly kind: LayerNodeKind;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeSeconds: number;
  readonly size: number;
  readonly links: number;
  readonly xattrs: ReadonlyMap<string, Uint8Array>;
  readonly major: number;
  readonly minor: number;
  readonly layout: number;
  readonly union: number;
  /** Where what lies behind the inode starts in the file. */
  readonly tail: number;
}

export class LayerReader implements Disposable {
  readonly #path: string;
  readonly #file: number;
  readonly #size: number;
  readonly #meta: number;
  readonly #root: number;

  constructor(path: string) {
    this.#path = path;
    this.#file = openSync(path, "r");
    try {
      this.#size = fstatSync(this.#file).size;
      const superblock = this.#bytes(superblockOffset, 128);
      if (superblock.readUInt32LE(0) !== magic || superblock.readUInt8(12) !== blockBits)
        throw this.#corrupt("it is not an EROFS file of Hull's making");
      this.#root = superblock.readUInt16LE(14);
      this.#meta = superblock.readUInt32LE(40) * blockSize;
    } catch (error) {
      closeSync(this.#file);
      throw error;
    }
  }

  get root(): LayerNode {
    return this.node(this.#root);
  }

  node(nid: number): LayerNode {
    const at = this.#meta + nid * slotSize;
    const inode = this.#bytes(at, inodeSize);
    const mode = inode.readUInt16LE(4);
    const kind = kinds.get(mode & typeMask);
    if ((inode.readUInt16LE(0) & 1) === 0 || kind === undefined) throw this.#corrupt(`inode ${nid} is none`);
    const count = inode.readUInt16LE(2);
    const xattrBytes = count === 0 ? 0 : 12 + (count - 1) * 4;
    const device = inode.readUInt32LE(16);
    return {
      nid,
      kind,
      mode: mode & 0o7777,
      uid: inode.readUInt32LE(24),
      gid: inode.readUInt32LE(28),
      mtimeSeconds: Number(inode.readBigInt64LE(32)),
      size: Number(inode.readBigUInt64LE(8)),
      links: inode.readUInt32LE(44),
      xattrs: xattrBytes === 0 ? new Map() : decodeXattrs(this.#bytes(at + inodeSize, xattrBytes)),
      major: (device >>> 8) & 0xfff,
      minor: (device & 0xff) | ((device >>> 12) & 0xfff00),
      layout: (inode.readUInt16LE(0) >> 1) & 7,
      union: device,
      tail: at + inodeSize + xattrBytes,
    };
  }

  /** Names of a directory, without `.` and `..`, each a latin1 string, to the numbers of their inodes. */
  entries(directory: LayerNode): Map<string, number> {
    if (directory.size > maxDirectoryBytes) throw this.#corrupt("a directory is larger than any can be");
    const content = this.#inlineContent(directory);
    const found = new Map<string, number>();
    for (let start = 0; start < content.length; start += blockSize) {
      const block = content.subarray(start, Math.min(start + blockSize, content.length));
      const count = block.length < direntSize ? 0 : block.readUInt16LE(8) / direntSize;
      if (!Number.isInteger(count) || count * direntSize > block.length)
        throw this.#corrupt("a directory is not one");
      for (let index = 0; index < count; index++) {
        const slot = index * direntSize;
        const from = block.readUInt16LE(slot + 8);
        const to = index + 1 < count ? block.readUInt16LE(slot + direntSize + 8) : block.length;
        const name = block.toString("latin1", from, to).replace(/\0+$/, "");
        if (name !== "." && name !== "..") found.set(name, Number(block.readBigUInt64LE(slot)));
      }
    }
    return found;
  }

  /** The target of a symlink, as latin1. */
  target(symlink: LayerNode): string {
    if (symlink.size > blockSize) throw this.#corrupt("a symbolic link is longer than any can be");
    return this.#inlineContent(symlink).toString("latin1");
  }

  /** The bytes of a file; holes come as zeros. */
  async *content(file: LayerNode): AsyncGenerator<Uint8Array> {
    for (let done = 0; done < file.size; ) {
      const wanted = Math.min(chunkBytes, file.size - done);
      const { at, length } = this.#place(file, done, wanted);
      done += length;
      if (at === undefined) yield zeros.subarray(0, length);
      else yield await this.#read(at, length);
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.#file);
  }

  /** Where the bytes from `offset` on are, and how many of them lie in a row; undefined: they are a hole. */
  #place(file: LayerNode, offset: number, wanted: number): { at: number | undefined; length: number } {
    if (file.layout !== layout.chunks) return { at: file.union * blockSize + offset, length: wanted };
    const chunk = 2 ** ((file.union & 31) + blockBits);
    const index = Math.floor(offset / chunk);
    const length = Math.min(wanted, (index + 1) * chunk - offset);
    const block = this.#bytes(file.tail + index * 4, 4).readUInt32LE(0);
    return { at: block === holeBlock ? undefined : block * blockSize + (offset - index * chunk), length };
  }

  async #read(at: number, length: number): Promise<Uint8Array> {
    const buffer = Buffer.allocUnsafe(length);
    for (let done = 0; done < length; ) {
      const { bytesRead } = await readAsync(this.#file, buffer, done, length - done, at + done);
      if (bytesRead === 0) throw this.#corrupt("a file reaches beyond its end");
      done += bytesRead;
    }
    return buffer;
  }

  /** Of directories and symlinks: whole blocks first, the rest behind the inode. */
  #inlineContent(node: LayerNode): Buffer {
    if (node.layout !== layout.inline) return this.#bytes(node.union * blockSize, node.size);
    const outer = Math.floor(Math.max(0, node.size - 1) / blockSize) * blockSize;
    const last = this.#bytes(node.tail, node.size - outer);
    return outer === 0 ? last : Buffer.concat([this.#bytes(node.union * blockSize, outer), last]);
  }

  #bytes(at: number, length: number): Buffer {
    if (length < 0 || at + length > this.#size) throw this.#corrupt("it is shorter than it says");
    const buffer = Buffer.allocUnsafe(length);
    for (let done = 0; done < length; ) {
      const count = readSync(this.#file, buffer, done, length - done, at + done);
      if (count === 0) throw this.#corrupt("it is shorter than it says");
      done += count;
    }
    return buffer;
  }

  #corrupt(why: string): HullError {
    return new HullError("corrupt", { what: `the layer ${this.#path}`, why });
  }
}
