/** Writes a layer's metadata behind its file data: directories and inodes, then the superblock. */
import { HullError } from "../../contract/errors.ts";
import type { BufferedFile } from "../content/buffered-file.ts";
import {
  blockBits,
  blockSize,
  type Dirent,
  direntSize,
  encodeDevice,
  encodeDirentBlock,
  encodeInode,
  encodeSuperblock,
  type InodeRecord,
  inodeSize,
  layout,
  slotSize,
  superblockOffset,
} from "./erofs-format.ts";
import type { FileDataWriter } from "./file-data.ts";
import type { DirectoryInode, Inode } from "./inode.ts";
import { encodeXattrs, maxXattrBytes, opaqueXattr, xattrBytes } from "./xattrs.ts";

/** Lots of metadata are written between two waits for the disk. */
const inodesPerDrain = 1000;

/** One inode with all that is decided about it before anything is written. */
interface Placed {
  readonly inode: Inode;
  readonly xattrBytes: number;
  /** Names of a directory in blocks, `.` and `..` among them, in order. */
  readonly blocks: readonly (readonly Dirent[])[];
  readonly size: number;
  readonly links: number;
  /** Bytes behind the inode: the last part of a directory, a symlink's target, or a table of chunks. */
  readonly tail: number;
  readonly layout: number;
  /** From the start of the metadata. */
  readonly offset: number;
  /** First block of what does not lie behind the inode. */
  block: number;
}

export async function writeMetadata(
  what: string,
  root: DirectoryInode,
  data: FileDataWriter,
  out: BufferedFile,
): Promise<void> {
  const placed = await place(what, root);
  await writeOuterBlocks(placed, data, out);
  const metaBlock = data.nextBlock;
  out.skipTo(metaBlock * blockSize);
  for (const [index, item] of placed.entries()) {
    out.skipTo(metaBlock * blockSize + item.offset);
    writeInode(item, index + 1, out);
    if (index % inodesPerDrain === 0) await out.drain();
  }
  const blocks = Math.ceil(out.position / blockSize);
  out.skipTo(blocks * blockSize);
  await out.flush();
  const superblock = encodeSuperblock({
    rootNid: root.nid,
    inodes: placed.length,
    blocks,
    metaBlock,
    chunkedFiles: data.chunkedFiles,
  });
  await out.rewrite(superblock, superblockOffset);
}

/** Decides where every inode goes. The root comes first: its number has only 16 bits. Number 0 is left out: readdir() hides it. */
async function place(what: string, root: DirectoryInode): Promise<Placed[]> {
  const order = inodesOf(root);
  const placed: Placed[] = [];
  let offset = inodeSize;
  for (const inode of order) {
    const sizes = measure(what, inode);
    offset = fit(offset, inodeSize + sizes.xattrBytes, sizes.layout === layout.inline ? sizes.tail : 0);
    inode.nid = offset / slotSize;
    placed.push({ ...sizes, inode, offset, block: 0 });
    // A layer may have a million inodes, and the daemon has others to serve.
    if (placed.length % inodesPerDrain === 0) await new Promise((resolve) => setImmediate(resolve));
    const end = offset + inodeSize + sizes.xattrBytes + sizes.tail;
    offset = Math.ceil(end / slotSize) * slotSize;
  }
  return placed;
}

/** All inodes, each once, the root first, a directory's children close together. */
function inodesOf(root: DirectoryInode): Inode[] {
  const order: Inode[] = [root];
  const linked = new Set<Inode>();
  for (const inode of order) {
    if (inode.kind !== "directory") continue;
    for (const [name, child] of inode.children) {
      if (inode.opaque && child.kind === "character-device" && child.whiteout) {
        // There is nothing left below an opaque directory to hide, and overlayfs would list it.
        inode.children.delete(name);
      } else if (child.links < 2) order.push(child);
      else if (!linked.has(child)) {
        linked.add(child);
        order.push(child);
      }
    }
    if (inode.opaque) inode.xattrs = new Map([...(inode.xattrs ?? []), [opaqueXattr, Buffer.from("y")]]);
  }
  return order;
}

type Sizes = Pick<Placed, "xattrBytes" | "blocks" | "size" | "links" | "tail" | "layout">;

function measure(what: string, inode: Inode): Sizes {
  const attributes = xattrBytes(inode.xattrs);
  if (attributes > maxXattrBytes)
    throw new HullError("tooLarge", {
      what,
      value: `${attributes} bytes of extended attributes of one file`,
      limit: maxXattrBytes,
    });
  const common = {
    xattrBytes: attributes,
    blocks: [],
    links: inode.links,
    tail: 0,
    size: 0,
    layout: layout.plain,
  };
  const room = blockSize - inodeSize - attributes;
  switch (inode.kind) {
    case "directory": {
      const blocks = direntBlocks(inode);
      const last = blocks.at(-1)?.reduce((sum, entry) => sum + direntSize + entry.name.length, 0) ?? 0;
      let links = 2;
      for (const child of inode.children.values()) if (child.kind === "directory") links++;
      return {
        ...common,
        blocks,
        links,
        size: (blocks.length - 1) * blockSize + last,
        ...inlineTail(last, room),
      };
    }
    case "symlink":
      return { ...common, size: inode.target.length, ...inlineTail(inode.target.length, room) };
    case "file":
      return inode.data.kind === "row"
        ? { ...common, size: inode.size }
        : { ...common, size: inode.size, layout: layout.chunks, tail: inode.data.blocks.length * 4 };
    default:
      return common;
  }
}

/** The end of a directory or a symlink's target lies behind the inode if both fit into one block. */
function inlineTail(bytes: number, room: number): Pick<Placed, "tail" | "layout"> {
  return bytes <= room ? { layout: layout.inline, tail: bytes } : { layout: layout.plain, tail: 0 };
}

/**
 * The next place for an inode: one with an inline tail lies in one block altogether (Linux reads a symlink so), and
 * no inode proper is split.
 */
function fit(offset: number, head: number, tail: number): number {
  const inBlock = offset % blockSize;
  const whole = tail > 0 ? head + tail : inodeSize;
  return inBlock + whole > blockSize ? offset - inBlock + blockSize : offset;
}

/** Names in the order of their bytes, as the kernel's binary search needs them, cut into blocks. */
function direntBlocks(directory: DirectoryInode): Dirent[][] {
  const names = [".", "..", ...directory.children.keys()].sort((a, b) => (a < b ? -1 : 1));
  const blocks: Dirent[][] = [];
  let block: Dirent[] = [];
  let used = 0;
  for (const name of names) {
    const cost = direntSize + name.length;
    if (used + cost > blockSize) {
      blocks.push(block);
      block = [];
      used = 0;
    }
    block.push(direntOf(directory, name));
    used += cost;
  }
  blocks.push(block);
  return blocks;
}

function direntOf(directory: DirectoryInode, name: string): Dirent {
  const inode = name === "." ? directory : name === ".." ? directory.parent : directory.children.get(name);
  if (inode === undefined) throw new Error("a name has an inode");
  return { name, inode };
}

/** The blocks of directories and symlinks that do not lie behind their inodes. */
async function writeOuterBlocks(
  placed: readonly Placed[],
  data: FileDataWriter,
  out: BufferedFile,
): Promise<void> {
  const block = Buffer.alloc(blockSize);
  for (const item of placed) {
    const outer = item.size - (item.layout === layout.inline ? item.tail : 0);
    if (item.inode.kind === "symlink" && outer > 0) {
      item.block = data.allocate(outer);
      out.write(Buffer.from(item.inode.target, "latin1"));
    } else if (item.inode.kind === "directory" && outer > 0) {
      item.block = data.allocate(outer);
      for (const entries of item.blocks.slice(0, Math.ceil(outer / blockSize))) {
        block.fill(0);
        encodeDirentBlock(block, 0, entries);
        out.write(block);
      }
      await out.drain();
    }
  }
}

function writeInode(item: Placed, number: number, out: BufferedFile): void {
  const { inode } = item;
  const record: InodeRecord = {
    inode,
    layout: item.layout,
    size: item.size,
    links: item.links,
    xattrBytes: item.xattrBytes,
    union: unionOf(item),
    number,
  };
  const bytes = Buffer.alloc(inodeSize + item.xattrBytes + item.tail);
  encodeInode(bytes, 0, record);
  bytes.set(encodeXattrs(inode.xattrs), inodeSize);
  const tail = inodeSize + item.xattrBytes;
  if (inode.kind === "file" && inode.data.kind === "chunks") {
    for (const [index, block] of inode.data.blocks.entries()) bytes.writeUInt32LE(block, tail + index * 4);
  } else if (item.tail > 0 && inode.kind === "symlink") bytes.write(inode.target, tail, "latin1");
  else if (item.tail > 0) encodeDirentBlock(bytes, tail, item.blocks.at(-1) ?? []);
  out.write(bytes);
}

function unionOf(item: Placed): number {
  const { inode } = item;
  switch (inode.kind) {
    case "file":
      return inode.data.kind === "row" ? inode.data.block : inode.data.chunkBits - blockBits;
    case "directory":
    case "symlink":
      return item.block;
    default:
      return encodeDevice(inode.major, inode.minor);
  }
}
