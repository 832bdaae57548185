/** Places file data in a layer as it arrives: a row of blocks for a file, chunks with holes for a sparse one. */
import { HullError } from "../../contract/errors.ts";
import type { BufferedFile } from "../content/buffered-file.ts";
import type { TarEntry } from "../tar/entry.ts";
import { blockBits, blockSize, holeBlock, maxBlocks, maxChunkBits } from "./erofs-format.ts";
import type { FileInode } from "./inode.ts";
import type { LayerTree } from "./tree.ts";

/** A sparse file gets about this many chunks for each of its segments, so the table stays in proportion to the data. */
const chunksPerSegment = 16;
const minChunks = 64;
const maxChunks = 32_768;

export class FileDataWriter {
  readonly #what: string;
  readonly #out: BufferedFile;
  readonly #tree: LayerTree;
  #file: FileInode | undefined;
  /** The first block that nothing has been given yet. */
  #nextBlock = 1;
  chunkedFiles = false;

  constructor(what: string, out: BufferedFile, tree: LayerTree) {
    this.#what = what;
    this.#out = out;
    this.#tree = tree;
    // The superblock's.
    out.skipTo(blockSize);
  }

  get nextBlock(): number {
    return this.#nextBlock;
  }

  begin(file: FileInode, entry: TarEntry): void {
    this.#file = file;
    if (entry.sparse === undefined || entry.size === 0) {
      file.data = { kind: "row", block: entry.size === 0 ? 0 : this.allocate(entry.size) };
      return;
    }
    const chunkBits = chunkBitsFor(entry.size, entry.sparse.length);
    const count = Math.ceil(entry.size / 2 ** chunkBits);
    this.#tree.charge(count * 4);
    file.data = { kind: "chunks", chunkBits, blocks: new Uint32Array(count).fill(holeBlock) };
    this.chunkedFiles = true;
  }

  write(bytes: Uint8Array, offset: number): void {
    const file = this.#file;
    if (file === undefined) return;
    if (file.data.kind === "row") this.#out.write(bytes);
    else this.#writeChunks(file, file.data, bytes, offset);
  }

  end(): void {
    this.#file = undefined;
    this.#out.skipTo(this.#nextBlock * blockSize);
  }

  /** Gives a row of blocks; what is written next goes there. */
  allocate(bytes: number): number {
    const blocks = Math.ceil(bytes / blockSize);
    const first = this.#nextBlock;
    if (first + blocks > maxBlocks)
      throw new HullError("tooLarge", {
        what: this.#what,
        value: "the size of its files together",
        limit: `${maxBlocks} blocks of 4 KiB`,
      });
    this.#out.skipTo(first * blockSize);
    this.#nextBlock = first + blocks;
    return first;
  }

  /** Segments come in order, so a chunk is given its blocks when the first of its data comes. */
  #writeChunks(
    file: FileInode,
    data: { chunkBits: number; blocks: Uint32Array },
    bytes: Uint8Array,
    offset: number,
  ): void {
    const chunkBytes = 2 ** data.chunkBits;
    for (let done = 0; done < bytes.length; ) {
      const at = offset + done;
      const chunk = Math.floor(at / chunkBytes);
      const inChunk = at - chunk * chunkBytes;
      if (data.blocks[chunk] === holeBlock)
        data.blocks[chunk] = this.allocate(Math.min(chunkBytes, file.size - chunk * chunkBytes));
      this.#out.skipTo((data.blocks[chunk] ?? 0) * blockSize + inChunk);
      const taken = Math.min(chunkBytes - inChunk, bytes.length - done);
      this.#out.write(bytes.subarray(done, done + taken));
      done += taken;
    }
  }
}

function chunkBitsFor(size: number, segments: number): number {
  const wanted = Math.min(maxChunks, Math.max(minChunks, segments * chunksPerSegment));
  let bits = blockBits;
  while (bits < maxChunkBits && size / 2 ** bits > wanted) bits++;
  return bits;
}
