/**
 * QEMU's migration stream, parted: the guest's memory goes to a memory file, all the rest stays a stream, which a QEMU
 * whose memory is that file already takes as its state. Pages are sent only as a whole memory: QEMU leaves memory out
 * by itself (x-ignore-shared) only if it is mapped shared, and that of a running machine is private.
 *
 * The format is that of QEMU 7.2 to 10: migration/savevm.c (sections), migration/ram.c (`ram_save_setup` to
 * `ram_save_complete`). Numbers are big-endian. QEMU may be in the guest's hands: everything is bounded, and what is
 * not expected ends it.
 */
import { ProtocolError } from "../fields.ts";

const fileMagic = 0x5145564d;
const fileVersion = 3;
const marks = {
  configuration: 0x07,
  sectionStart: 0x01,
  sectionPart: 0x02,
  sectionEnd: 0x03,
  command: 0x08,
  sectionFooter: 0x7e,
} as const;
const flags = { zero: 0x02, memorySize: 0x04, page: 0x08, end: 0x10, continued: 0x20 } as const;
const flagBits = 0xfffn;
/** The one command that is sent without an answer being awaited: the memory's last section follows (QEMU 10). */
const switchoverStart = 11;
const pageBytes = 4096;
const zeroPage = Buffer.alloc(pageBytes);
const memorySection = "ram";
/** Of firmware and tables beside the guest's memory, and of devices. */
const restLimit = 64 * 1024 * 1024;
/** Kept in pieces of this size: a buffer for each of the smallest entries would take a hundred times their bytes. */
const restPiece = 1024 * 1024;
const mostBlocks = 256;
const longestName = 255;
/** A page with its address and the name of its block. */
const longestItem = 2 * pageBytes;

export interface StreamOptions {
  readonly memoryBytes: number;
  /** What the guest's memory may be called. */
  readonly names: readonly string[];
  /** Takes bytes of the guest's memory; `data` is valid during the call only. */
  readonly write: (data: Buffer, offset: number) => void;
}

/** More bytes are needed to go on. */
const more = Symbol("more");

/** Takes the stream piece by piece; `finish` gives what is left of it without the memory. */
export class MemoryStream {
  readonly #options: StreamOptions;
  readonly #rest: Buffer[] = [];
  #restBytes = 0;
  /** Room in the last piece. */
  #restFree = 0;
  #data: Buffer = Buffer.alloc(0);
  /** The beginning of an item, from the pieces before. */
  #left: Buffer = Buffer.alloc(0);
  #at = 0;
  #step: () => typeof more | undefined = () => this.#readHead();
  #section: number | undefined;
  #blocks = new Map<string, number>();
  #block = "";
  #memory: string | undefined;
  #pages = 0;
  readonly #staged = Buffer.alloc(1024 * 1024);
  #stagedBytes = 0;
  #stagedAt = 0;
  #written = 0;
  #open = true;

  constructor(options: StreamOptions) {
    this.#options = options;
  }

  push(piece: Buffer): void {
    let start = 0;
    if (this.#left.length > 0) {
      // Only what is torn is put together: copying every piece would take longer than parting it.
      const kept = this.#left.length;
      this.#data = Buffer.concat([this.#left, piece.subarray(0, longestItem)]);
      this.#at = 0;
      while (this.#at < kept && this.#step() !== more);
      if (this.#at < kept) {
        this.#left = Buffer.from(this.#data.subarray(this.#at));
        return;
      }
      start = this.#at - kept;
    }
    this.#data = piece;
    this.#at = start;
    while (this.#step() !== more);
    this.#left = Buffer.from(piece.subarray(this.#at));
  }

  finish(): Buffer {
    if (this.#open) throw new ProtocolError("QEMU's state ends within the memory");
    return Buffer.concat(this.#rest, this.#restBytes);
  }

  /** Whether so many bytes are there; if not, the step is taken again when they are. */
  #has(bytes: number): boolean {
    return this.#data.length - this.#at >= bytes;
  }

  #keep(bytes: number): void {
    this.#restBytes += bytes;
    if (this.#restBytes > restLimit) throw new ProtocolError("QEMU's state has no end");
    for (const end = this.#at + bytes; this.#at < end; ) {
      const last = this.#rest.at(-1);
      const piece = last === undefined || this.#restFree === 0 ? Buffer.alloc(restPiece) : last;
      if (piece !== last) {
        this.#rest.push(piece);
        this.#restFree = restPiece;
      }
      const copied = this.#data.copy(piece, restPiece - this.#restFree, this.#at, end);
      this.#restFree -= copied;
      this.#at += copied;
    }
  }

  /** The file's head, and the name of the machine. */
  #readHead(): typeof more | undefined {
    if (!this.#has(13)) return more;
    const data = this.#data;
    if (data.readUInt32BE(this.#at) !== fileMagic || data.readUInt32BE(this.#at + 4) !== fileVersion)
      throw new ProtocolError("QEMU sent something else than its state");
    if (data[this.#at + 8] !== marks.configuration) throw new ProtocolError("QEMU's state names no machine");
    const length = data.readUInt32BE(this.#at + 9);
    if (length > longestName) throw new ProtocolError("QEMU's machine has too long a name");
    if (!this.#has(13 + length)) return more;
    this.#keep(13 + length);
    this.#step = () => this.#readSection();
    return undefined;
  }

  /** The memory's sections; behind the last of them, everything is kept as it is. */
  #readSection(): typeof more | undefined {
    if (!this.#has(5)) return more;
    const mark = this.#data[this.#at] ?? 0;
    const id = this.#data.readUInt32BE(this.#at + 1);
    // A command has its number and the length of what belongs to it here.
    if (mark === marks.command && id === switchoverStart << 16) {
      this.#keep(5);
      return undefined;
    }
    if (mark === marks.sectionStart) return this.#startSection(id);
    if (id !== this.#section || (mark !== marks.sectionPart && mark !== marks.sectionEnd))
      throw new ProtocolError(`QEMU's state has an unexpected section (${mark}, ${id})`);
    this.#keep(5);
    this.#step = () => this.#readEntry(mark === marks.sectionEnd);
    return undefined;
  }

  #startSection(id: number): typeof more | undefined {
    if (!this.#has(6)) return more;
    const length = this.#data[this.#at + 5] ?? 0;
    if (!this.#has(14 + length)) return more;
    const name = this.#data.toString("latin1", this.#at + 6, this.#at + 6 + length);
    if (name !== memorySection || this.#section !== undefined)
      throw new ProtocolError(`QEMU's state has an unexpected section (${JSON.stringify(name)})`);
    this.#section = id;
    this.#keep(14 + length);
    this.#step = () => this.#readEntry(false);
    return undefined;
  }

  #readFooter(last: boolean): typeof more | undefined {
    if (!this.#has(5)) return more;
    if (
      this.#data[this.#at] !== marks.sectionFooter ||
      this.#data.readUInt32BE(this.#at + 1) !== this.#section
    )
      throw new ProtocolError("QEMU's state has a section without an end");
    this.#keep(5);
    if (last) {
      this.#flush();
      this.#open = false;
    }
    this.#step = last ? () => this.#readRest() : () => this.#readSection();
    return undefined;
  }

  #readRest(): typeof more {
    if (this.#at < this.#data.length) this.#keep(this.#data.length - this.#at);
    return more;
  }

  /** One entry of a memory section: a page, the list of blocks, or the end. */
  #readEntry(last: boolean): typeof more | undefined {
    if (!this.#has(8)) return more;
    const head = this.#data.readBigUInt64BE(this.#at);
    const flag = Number(head & flagBits);
    const address = Number(head & ~flagBits);
    if (flag === flags.end) {
      this.#keep(8);
      this.#step = () => this.#readFooter(last);
      return undefined;
    }
    if (flag === flags.memorySize) {
      if (this.#blocks.size > 0) throw new ProtocolError("QEMU lists its memory twice");
      this.#keep(8);
      this.#step = () => this.#readBlock(address, last);
      return undefined;
    }
    return this.#readPage(flag, address);
  }

  /** The blocks of memory, until their sizes sum up to what was announced. */
  #readBlock(left: number, last: boolean): typeof more | undefined {
    if (left <= 0) {
      this.#memory = this.#options.names.find((name) => this.#blocks.get(name) === this.#options.memoryBytes);
      if (this.#memory === undefined || left < 0) throw new ProtocolError("QEMU's memory is of another size");
      this.#step = () => this.#readEntry(last);
      return undefined;
    }
    if (!this.#has(1)) return more;
    const length = this.#data[this.#at] ?? 0;
    if (!this.#has(9 + length)) return more;
    const name = this.#data.toString("latin1", this.#at + 1, this.#at + 1 + length);
    const bytes = Number(this.#data.readBigUInt64BE(this.#at + 1 + length));
    if (this.#blocks.size >= mostBlocks || this.#blocks.has(name) || bytes === 0)
      throw new ProtocolError("QEMU's memory is in too many pieces");
    this.#blocks.set(name, bytes);
    this.#keep(9 + length);
    this.#step = () => this.#readBlock(left - bytes, last);
    return undefined;
  }

  #readPage(flag: number, address: number): typeof more | undefined {
    const kind = flag & ~flags.continued;
    if (kind !== flags.page && kind !== flags.zero)
      throw new ProtocolError(`QEMU sent memory in an unexpected way (${flag})`);
    const continued = (flag & flags.continued) !== 0;
    if (!this.#has(9)) return more;
    const nameBytes = continued ? 0 : 1 + (this.#data[this.#at + 8] ?? 0);
    const start = 8 + nameBytes;
    const bytes = kind === flags.page ? pageBytes : 1;
    if (!this.#has(start + bytes)) return more;
    if (!continued) this.#block = this.#data.toString("latin1", this.#at + 9, this.#at + start);
    const size = this.#blocks.get(this.#block);
    if (size === undefined || address + pageBytes > size)
      throw new ProtocolError("QEMU sent a page that has no place");
    if (this.#block !== this.#memory) {
      this.#keep(start + bytes);
      return undefined;
    }
    // The machine stands still, so each page is sent once, and some of the first ones may come again.
    this.#pages++;
    if (this.#pages * pageBytes > 2 * this.#options.memoryBytes)
      throw new ProtocolError("QEMU's memory has no end");
    const data = this.#data.subarray(this.#at + start, this.#at + start + bytes);
    if (kind === flags.page) this.#stage(data, address);
    else if (data[0] !== 0) throw new ProtocolError("QEMU sent a page that is neither data nor zeros");
    // The file is zeros where nothing was written yet.
    else if (address < this.#written) this.#stage(zeroPage, address);
    this.#at += start + bytes;
    return undefined;
  }

  /** Pages come in order: they are written many at once. */
  #stage(data: Buffer, address: number): void {
    if (this.#stagedBytes === this.#staged.length || this.#stagedAt + this.#stagedBytes !== address) {
      this.#flush();
      this.#stagedAt = address;
    }
    data.copy(this.#staged, this.#stagedBytes);
    this.#stagedBytes += data.length;
    this.#written = Math.max(this.#written, address + data.length);
  }

  #flush(): void {
    if (this.#stagedBytes > 0)
      this.#options.write(this.#staged.subarray(0, this.#stagedBytes), this.#stagedAt);
    this.#stagedBytes = 0;
  }
}
