/**
 * A push parser for tar archives: bytes go in by `push`, members come out through the handler, in order and at
 * once. It keeps one header, one extension header and one sparse map in memory, never file data. Back-pressure
 * is the caller's: wait for what the handler started before the next `push`.
 *
 * It reads v7, ustar, PAX (POSIX.1-2017), GNU tar's and star's archives, and never writes anything anywhere.
 */
import { HullError, messageOf } from "../../contract/errors.ts";
import { type Assembled, assemble } from "./assemble.ts";
import type { SparseSegment, TarEntry } from "./entry.ts";
import {
  blockSize,
  isZeroBlock,
  parseHeader,
  parseSparseExtension,
  type RawHeader,
  TarFormatError,
} from "./header.ts";
import { tarLimits } from "./limits.ts";
import { type PaxRecords, parsePax } from "./pax.ts";
import { checkSparseMap, SparseMapReader } from "./sparse-map.ts";

export interface TarHandler {
  entry(entry: TarEntry): void;
  /** Data of the last entry, which starts at `offset` of the unpacked file. The bytes are only good during the call. */
  data(bytes: Uint8Array, offset: number): void;
  /** All data of the last entry was given. */
  entryEnd(): void;
}

/** What the next bytes are. Those in `Block`s and `Payload` are collected; data and padding pass through. */
type State = "header" | "zero" | "payload" | "sparse-extension" | "sparse-map" | "data" | "padding" | "end";

export class TarParser {
  readonly #what: string;
  readonly #handler: TarHandler;
  #state: State = "header";
  /** Bytes taken so far, and where the current member's (first) header starts. */
  #position = 0;
  #memberStart = 0;
  #memberName = "";
  #entries = 0;

  readonly #block = Buffer.alloc(blockSize);
  #blockFill = 0;

  #payload = Buffer.alloc(0);
  #payloadFill = 0;
  #payloadType = "";

  #global: PaxRecords | undefined;
  #local: PaxRecords | undefined;
  #longName: string | undefined;
  #longLink: string | undefined;

  #raw: RawHeader | undefined;
  #sparseSegments: SparseSegment[] = [];
  #assembled: Assembled | undefined;
  #sparseMap = new SparseMapReader();

  /** Of the current member's data: bytes to come, padding after them, and the segments they belong to. */
  #remaining = 0;
  #padding = 0;
  #segments: readonly SparseSegment[] = [];
  #segment = 0;
  #segmentDone = 0;

  /** `what` names the archive in errors. */
  constructor(what: string, handler: TarHandler) {
    this.#what = what;
    this.#handler = handler;
  }

  push(chunk: Uint8Array): void {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    for (let at = 0; at < bytes.length; ) {
      if (this.#state === "end") return;
      const taken = this.#guard(() => this.#take(bytes, at));
      at += taken;
      this.#position += taken;
    }
  }

  /**
   * The archive's last byte was pushed. An archive may lack the zero blocks at its end and the padding of its last
   * member (umoci leaves both out), but not half a member.
   */
  end(): void {
    const betweenMembers = ["header", "zero", "padding"].includes(this.#state);
    if (this.#state === "end") return;
    if (betweenMembers && this.#blockFill === 0 && !this.#hasExtensions()) return;
    throw this.#corrupt(`it ends in the middle of ${this.#place()}`);
  }

  #guard<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (error instanceof TarFormatError)
        throw this.#corrupt(`${this.#place()}: ${messageOf(error)}`, error);
      throw error;
    }
  }

  #corrupt(why: string, cause?: unknown): HullError {
    return new HullError("corrupt", { what: this.#what, why }, { cause });
  }

  #place(): string {
    const name = this.#memberName === "" ? "" : ` ${printable(this.#memberName)}`;
    return `the member${name} at byte ${this.#memberStart}`;
  }

  /** Takes some bytes from `at` on and says how many. */
  #take(bytes: Buffer, at: number): number {
    switch (this.#state) {
      case "data":
        return this.#takeData(bytes, at);
      case "padding": {
        const taken = Math.min(this.#padding, bytes.length - at);
        this.#padding -= taken;
        if (this.#padding === 0) this.#state = "header";
        return taken;
      }
      case "payload":
        return this.#takePayload(bytes, at);
      default:
        return this.#takeBlock(bytes, at);
    }
  }

  #takeBlock(bytes: Buffer, at: number): number {
    if (this.#blockFill === 0 && this.#state === "header" && !this.#hasExtensions()) {
      this.#memberStart = this.#position;
      this.#memberName = "";
    }
    if (this.#blockFill === 0 && bytes.length - at >= blockSize) {
      this.#onBlock(bytes.subarray(at, at + blockSize));
      return blockSize;
    }
    const taken = Math.min(blockSize - this.#blockFill, bytes.length - at);
    bytes.copy(this.#block, this.#blockFill, at, at + taken);
    this.#blockFill += taken;
    if (this.#blockFill === blockSize) {
      this.#blockFill = 0;
      this.#onBlock(this.#block);
    }
    return taken;
  }

  #onBlock(block: Buffer): void {
    if (this.#state === "sparse-extension") {
      const { segments, extended } = parseSparseExtension(block);
      this.#addSparse(segments);
      if (!extended) this.#startMember();
    } else if (this.#state === "sparse-map") {
      if (this.#sparseMap.push(block)) this.#endSparseMap();
      else if (this.#sparseMap.bytes >= (this.#assembled?.storedSize ?? 0))
        throw new TarFormatError("its sparse map does not end");
    } else if (isZeroBlock(block)) {
      if (this.#hasExtensions()) throw new TarFormatError("an extended header is followed by no member");
      this.#state = this.#state === "zero" ? "end" : "zero";
    } else {
      if (this.#state === "zero") throw new TarFormatError("a member follows the archive's end");
      this.#onHeader(parseHeader(block));
    }
  }

  #onHeader(raw: RawHeader): void {
    this.#entries++;
    if (this.#entries > tarLimits.entries)
      throw new HullError("tooLarge", {
        what: this.#what,
        value: "its number of members",
        limit: tarLimits.entries,
      });
    switch (raw.typeFlag) {
      case "x":
      case "X":
      case "g":
      case "L":
      case "K":
        this.#startPayload(raw);
        return;
      case "V":
        // A volume's label: nothing to unpack.
        return;
      default:
        this.#memberName = this.#longName ?? raw.name;
        this.#raw = raw;
        this.#sparseSegments = [];
        if (raw.gnuSparse !== undefined) this.#addSparse(raw.gnuSparse.segments);
        if (raw.gnuSparse?.extended === true) this.#state = "sparse-extension";
        else this.#startMember();
    }
  }

  #addSparse(segments: readonly SparseSegment[]): void {
    this.#sparseSegments.push(...segments);
    if (this.#sparseSegments.length > tarLimits.sparseSegments)
      throw new TarFormatError(`it has more than ${tarLimits.sparseSegments} sparse segments`);
  }

  #startPayload(raw: RawHeader): void {
    if (raw.size > tarLimits.headerBytes)
      throw new TarFormatError(
        `its extended header has ${raw.size} bytes, over the limit of ${tarLimits.headerBytes}`,
      );
    this.#payloadType = raw.typeFlag;
    this.#payload = Buffer.alloc(raw.size);
    this.#payloadFill = 0;
    this.#padding = paddingAfter(raw.size);
    this.#state = "payload";
    if (raw.size === 0) this.#endPayload();
  }

  #takePayload(bytes: Buffer, at: number): number {
    const taken = Math.min(this.#payload.length - this.#payloadFill, bytes.length - at);
    bytes.copy(this.#payload, this.#payloadFill, at, at + taken);
    this.#payloadFill += taken;
    if (this.#payloadFill === this.#payload.length) this.#endPayload();
    return taken;
  }

  #endPayload(): void {
    const payload = this.#payload;
    this.#payload = Buffer.alloc(0);
    this.#state = this.#padding > 0 ? "padding" : "header";
    if (this.#payloadType === "L") this.#longName = longField(payload);
    else if (this.#payloadType === "K") this.#longLink = longField(payload);
    else if (this.#payloadType === "g") {
      const records = parsePax(payload);
      this.#global = mergeGlobal(this.#global, records);
    } else this.#local = parsePax(payload);
  }

  #hasExtensions(): boolean {
    return this.#local !== undefined || this.#longName !== undefined || this.#longLink !== undefined;
  }

  #startMember(): void {
    const raw = this.#raw;
    if (raw === undefined) throw new Error("a member is started by its header");
    const extensions = {
      global: this.#global,
      local: this.#local,
      longName: this.#longName,
      longLink: this.#longLink,
    };
    const assembled = assemble(raw, extensions, this.#memberStart);
    this.#memberName = assembled.entry.path;
    this.#local = undefined;
    this.#longName = undefined;
    this.#longLink = undefined;
    this.#assembled = assembled;
    if (assembled.sparse === "in-data") {
      this.#sparseMap = new SparseMapReader();
      this.#state = "sparse-map";
    } else {
      const sparse = raw.gnuSparse === undefined ? assembled.sparse : this.#sparseSegments;
      this.#startData(assembled, sparse, assembled.storedSize);
    }
  }

  #endSparseMap(): void {
    const assembled = this.#assembled;
    if (assembled === undefined) throw new Error("a sparse map belongs to a member");
    const left = assembled.storedSize - this.#sparseMap.bytes;
    if (left < 0) throw new TarFormatError("its sparse map is larger than its data");
    this.#startData(assembled, this.#sparseMap.segments, left);
  }

  #startData(assembled: Assembled, sparse: readonly SparseSegment[] | undefined, stored: number): void {
    const segments = sparse && checkSparseMap(sparse, assembled.entry.size, stored);
    this.#segments = segments ?? [{ offset: 0, length: stored }];
    this.#segment = 0;
    this.#segmentDone = 0;
    this.#remaining = stored;
    this.#padding = paddingAfter(stored);
    this.#handler.entry({ ...assembled.entry, sparse: segments });
    if (stored === 0) this.#endData();
    else this.#state = "data";
  }

  #takeData(bytes: Buffer, at: number): number {
    const segment = this.#segments[this.#segment];
    if (segment === undefined) throw new Error("data lies in a segment");
    const taken = Math.min(segment.length - this.#segmentDone, bytes.length - at);
    this.#handler.data(bytes.subarray(at, at + taken), segment.offset + this.#segmentDone);
    this.#segmentDone += taken;
    this.#remaining -= taken;
    if (this.#segmentDone === segment.length) {
      this.#segment++;
      this.#segmentDone = 0;
    }
    if (this.#remaining === 0) this.#endData();
    return taken;
  }

  #endData(): void {
    this.#state = this.#padding > 0 ? "padding" : "header";
    this.#handler.entryEnd();
  }
}

/** Global records pile up over an archive, so they are bounded together. */
function mergeGlobal(before: PaxRecords | undefined, added: PaxRecords): PaxRecords {
  const values = new Map(before?.values);
  for (const [key, value] of added.values) values.set(key, new Uint8Array(value));
  let bytes = 0;
  for (const [key, value] of values) bytes += key.length + value.length;
  if (bytes > tarLimits.globalBytes)
    throw new TarFormatError(`its global headers are over the limit of ${tarLimits.globalBytes} bytes`);
  return { values, sparse: [] };
}

function paddingAfter(size: number): number {
  return (blockSize - (size % blockSize)) % blockSize;
}

function longField(payload: Buffer): string {
  const zero = payload.indexOf(0);
  return payload.toString("latin1", 0, zero < 0 ? payload.length : zero);
}

/** A name for a message: as JSON, so that control characters cannot fool a terminal, and not too long. */
export function printable(name: string): string {
  const text = JSON.stringify(Buffer.from(name, "latin1").toString("utf8"));
  return text.length > 200 ? `${text.slice(0, 200)}…"` : text;
}
