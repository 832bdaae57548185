/**
 * A new file that is written from front to back: small writes are gathered, and the disk works while the caller
 * goes on. Stretches of zeros are left as holes, so a file of zeros costs no disk whatever its size.
 */
import { close, closeSync, constants, fsync, ftruncate, openSync, write } from "node:fs";
import { promisify } from "node:util";
import { HullError, messageOf } from "../../contract/errors.ts";
import { errnoNameOf } from "../../host/system-error.ts";
import { giveBack } from "./give-back.ts";
import { checkRoom } from "./room.ts";

const writeAsync = promisify(write);
const fsyncAsync = promisify(fsync);
const ftruncateAsync = promisify(ftruncate);
const closeAsync = promisify(close);

const bufferBytes = 1024 * 1024;
/** Full buffers that may wait for the disk before `drain` makes the caller wait. */
const maxWaiting = 2;
/** What O_DIRECT asks of a write's place, length and memory, on any disk of today. */
const directUnit = 4096;
const zeros = Buffer.alloc(bufferBytes);
const nothing = Buffer.alloc(0);

interface Piece {
  readonly buffer: Buffer;
  readonly length: number;
  readonly position: number;
}

export class BufferedFile implements AsyncDisposable {
  readonly path: string;
  readonly #file: number;
  /** The same file past the page cache; undefined where that cannot be. */
  #direct: number | undefined;
  #buffer: Buffer = Buffer.allocUnsafe(bufferBytes);
  #fill = 0;
  #start = 0;
  #waiting: Piece[] = [];
  #spare: Buffer[] = [];
  #pump: Promise<void> | undefined;
  #failure: unknown;
  #closed = false;

  /**
   * The file must not exist. `direct` is for a large file that is not read again at once and has to be on the disk
   * in the end anyway: whole buffers go there past the page cache, which costs a fifth of the processor time.
   */
  constructor(path: string, how: "cached" | "direct" = "cached") {
    this.path = path;
    try {
      this.#file = openSync(path, "wx", 0o644);
    } catch (error) {
      throw writeError(path, error);
    }
    if (how === "direct") this.#direct = openDirect(path);
  }

  /** Where the next byte goes. */
  get position(): number {
    return this.#start + this.#fill;
  }

  write(bytes: Uint8Array): void {
    // The descriptor's number may belong to another file by now.
    if (this.#closed) throw new Error(`${this.path} is closed`);
    for (let at = 0; at < bytes.length; ) {
      const taken = Math.min(bufferBytes - this.#fill, bytes.length - at);
      this.#buffer.set(taken === bytes.length ? bytes : bytes.subarray(at, at + taken), this.#fill);
      this.#fill += taken;
      at += taken;
      if (this.#fill === bufferBytes) this.#queue();
    }
  }

  /** Leaves a hole up to `position`, which must not lie before the current one. */
  skipTo(position: number): void {
    const gap = position - this.position;
    if (this.#closed) throw new Error(`${this.path} is closed`);
    if (gap < 0) throw new Error(`cannot go back from ${this.position} to ${position} in ${this.path}`);
    if (gap <= bufferBytes - this.#fill - 1) {
      this.#buffer.fill(0, this.#fill, this.#fill + gap);
      this.#fill += gap;
    } else {
      this.#queue();
      this.#start = position;
    }
  }

  /** To be called after every bounded lot of writes: waits until the disk has caught up. */
  async drain(): Promise<void> {
    while (this.#waiting.length > maxWaiting && this.#failure === undefined) await this.#pump;
    if (this.#failure !== undefined) throw writeError(this.path, this.#failure);
  }

  /** Everything written so far is in the file. */
  async flush(): Promise<void> {
    this.#queue();
    await this.#pump;
    if (this.#failure !== undefined) throw writeError(this.path, this.#failure);
  }

  /** Overwrites bytes that were flushed. */
  async rewrite(bytes: Uint8Array, position: number): Promise<void> {
    try {
      await writeAll(this.#file, bytes, position);
    } catch (error) {
      throw writeError(this.path, error);
    }
  }

  /** Flushes and closes the file; `durable` outlives a power cut. Nothing happens when it is closed already. */
  async finish(how: "durable" | "written"): Promise<void> {
    if (this.#closed) return;
    await this.flush();
    try {
      // A hole at the end exists only once the size says so.
      await ftruncateAsync(this.#file, this.position);
      if (how === "durable") await fsyncAsync(this.#file);
    } catch (error) {
      throw writeError(this.path, error);
    }
    await this[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const dropped = this.#waiting;
    this.#waiting = [];
    await this.#pump;
    for (const buffer of [this.#buffer, ...this.#spare, ...dropped.map((piece) => piece.buffer)])
      giveBack(buffer);
    // Whoever only wants to know the file's place and size may keep this for long, and have many.
    this.#start = this.position;
    this.#fill = 0;
    this.#buffer = nothing;
    this.#spare = [];
    this.#endDirect();
    await closeAsync(this.#file);
  }

  #queue(): void {
    if (this.#fill > 0) {
      const holds = this.#buffer.compare(zeros, 0, this.#fill, 0, this.#fill) !== 0;
      if (holds) {
        this.#waiting.push({ buffer: this.#buffer, length: this.#fill, position: this.#start });
        this.#buffer = this.#spare.pop() ?? Buffer.allocUnsafe(bufferBytes);
        this.#pump ??= this.#work();
      }
      this.#start += this.#fill;
      this.#fill = 0;
    }
  }

  async #writePiece({ buffer, length, position }: Piece): Promise<void> {
    const bytes = buffer.subarray(0, length);
    // What is less is not worth the question.
    if (length === bufferBytes) checkRoom(this.path, length);
    if (this.#direct !== undefined && length === bufferBytes && position % directUnit === 0) {
      try {
        await writeAll(this.#direct, bytes, position);
        return;
      } catch (error) {
        if (errnoNameOf(error) !== "EINVAL") throw error;
        // It asks for more than we know of: the page cache takes everything.
        this.#endDirect();
      }
    }
    await writeAll(this.#file, bytes, position);
  }

  #endDirect(): void {
    if (this.#direct !== undefined) closeSync(this.#direct);
    this.#direct = undefined;
  }

  async #work(): Promise<void> {
    try {
      for (let piece = this.#waiting.shift(); piece !== undefined; piece = this.#waiting.shift()) {
        await this.#writePiece(piece);
        if (this.#spare.length < maxWaiting) this.#spare.push(piece.buffer);
        else giveBack(piece.buffer);
      }
    } catch (error) {
      this.#failure = error;
      this.#waiting = [];
    } finally {
      this.#pump = undefined;
    }
  }
}

/** Not every file system has it. */
function openDirect(path: string): number | undefined {
  try {
    return openSync(path, constants.O_WRONLY | constants.O_DIRECT);
  } catch {
    return undefined;
  }
}

async function writeAll(file: number, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await writeAsync(file, bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

/** What a failure of the file system means to the user. */
export function writeError(path: string, error: unknown): unknown {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "ENOSPC" || code === "EDQUOT")
    return new HullError("noSpace", { what: path, path }, { cause: error });
  if (code === "EFBIG")
    return new HullError("tooLarge", { what: path, value: "its size", limit: "the file system" });
  if (code === "EROFS" || code === "EACCES" || code === "EPERM" || code === "EIO")
    return new HullError("notWritable", { path, why: messageOf(error) }, { cause: error });
  return error;
}
