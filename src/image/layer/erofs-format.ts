/**
 * EROFS on disk, as far as layers use it: 4 KiB blocks, 64-byte inodes, nothing compressed. Only features that
 * Linux 6.1 reads. Source: Linux fs/erofs/erofs_fs.h, Documentation/filesystems/erofs.rst.
 */
import { crc32c } from "./crc32c.ts";
import type { Inode } from "./inode.ts";

export const blockBits = 12;
export const blockSize = 1 << blockBits;
/** Inodes are numbered by 32-byte slots from the start of the metadata. */
export const slotSize = 32;
export const inodeSize = 64;
export const direntSize = 12;
export const superblockOffset = 1024;
/** Block numbers have 32 bits, and the last one means a hole. */
export const maxBlocks = 0xffff_fffe;
export const holeBlock = 0xffff_ffff;
/** A chunk is at most 2^31 blocks. */
export const maxChunkBits = blockBits + 31;

const magic = 0xe0f5e1e2;
const featureCompat = { checksum: 1, mtime: 2 };
const featureIncompat = { chunkedFile: 4 };

/** Data layouts of an inode. */
export const layout = { plain: 0, inline: 2, chunks: 4 } as const;

const fileTypes: Readonly<Record<Inode["kind"], number>> = {
  file: 1,
  directory: 2,
  "character-device": 3,
  "block-device": 4,
  fifo: 5,
  socket: 6,
  symlink: 7,
};

export const modeBits: Readonly<Record<Inode["kind"], number>> = {
  file: 0o100000,
  directory: 0o040000,
  "character-device": 0o020000,
  "block-device": 0o060000,
  fifo: 0o010000,
  socket: 0o140000,
  symlink: 0o120000,
};

export interface InodeRecord {
  readonly inode: Inode;
  readonly layout: number;
  readonly size: number;
  readonly links: number;
  /** Bytes of extended attributes, a multiple of four. */
  readonly xattrBytes: number;
  /** First block, device number or chunk format, by layout and kind. */
  readonly union: number;
  /** Inode number for 32-bit programs. */
  readonly number: number;
}

export function encodeInode(out: Buffer, at: number, record: InodeRecord): void {
  const { inode } = record;
  out.writeUInt16LE(1 | (record.layout << 1), at);
  out.writeUInt16LE(record.xattrBytes === 0 ? 0 : 1 + (record.xattrBytes - 12) / 4, at + 2);
  out.writeUInt16LE(modeBits[inode.kind] | inode.mode, at + 4);
  out.writeUInt16LE(0, at + 6);
  out.writeBigUInt64LE(BigInt(record.size), at + 8);
  out.writeUInt32LE(record.union, at + 16);
  out.writeUInt32LE(record.number >>> 0, at + 20);
  out.writeUInt32LE(inode.uid, at + 24);
  out.writeUInt32LE(inode.gid, at + 28);
  out.writeBigInt64LE(BigInt(inode.mtimeSeconds), at + 32);
  out.writeUInt32LE(inode.mtimeNanoseconds, at + 40);
  out.writeUInt32LE(record.links, at + 44);
  out.fill(0, at + 48, at + inodeSize);
}

/** Linux' new_encode_dev(): 12 bits of major, 20 of minor. */
export function encodeDevice(major: number, minor: number): number {
  return ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0;
}

export interface Dirent {
  readonly name: string;
  /** Its number is known only when everything is placed. */
  readonly inode: Inode;
}

/** One block of a directory: the entries, then their names. Returns the bytes used. */
export function encodeDirentBlock(out: Buffer, at: number, entries: readonly Dirent[]): number {
  let nameOffset = entries.length * direntSize;
  let slot = at;
  for (const entry of entries) {
    out.writeBigUInt64LE(BigInt(entry.inode.nid), slot);
    out.writeUInt16LE(nameOffset, slot + 8);
    out.writeUInt8(fileTypes[entry.inode.kind], slot + 10);
    out.writeUInt8(0, slot + 11);
    out.write(entry.name, at + nameOffset, "latin1");
    nameOffset += entry.name.length;
    slot += direntSize;
  }
  return nameOffset;
}

export interface Superblock {
  readonly rootNid: number;
  readonly inodes: number;
  readonly blocks: number;
  readonly metaBlock: number;
  readonly chunkedFiles: boolean;
}

/** The superblock with its checksum: what goes from byte 1024 to the end of the first block. */
export function encodeSuperblock(superblock: Superblock): Buffer {
  const out = Buffer.alloc(blockSize - superblockOffset);
  out.writeUInt32LE(magic, 0);
  out.writeUInt32LE(featureCompat.checksum | featureCompat.mtime, 8);
  out.writeUInt8(blockBits, 12);
  out.writeUInt16LE(superblock.rootNid, 14);
  out.writeBigUInt64LE(BigInt(superblock.inodes), 16);
  out.writeUInt32LE(superblock.blocks, 36);
  out.writeUInt32LE(superblock.metaBlock, 40);
  out.writeUInt32LE(superblock.chunkedFiles ? featureIncompat.chunkedFile : 0, 80);
  // Over the whole rest of the block, with the checksum's own field as zero.
  out.writeUInt32LE(crc32c(out), 4);
  return out;
}
