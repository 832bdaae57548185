/**
 * Reads a workload's log (wall/log.ts) for clients: selected streams, the last lines, a span of time, and what
 * is still to come. Memory is bounded by a block and the longest line, whatever the size of the log.
 */
import { watch } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { type LogLine, parseLogLine } from "../wall/log.ts";
import type { OutputChunk } from "../wall/wall.ts";
import { formatTime, parseTime } from "./log-times.ts";

export interface LogOptions {
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** Nanoseconds since the epoch. */
  readonly since: bigint | undefined;
  readonly until: bigint | undefined;
  /** The last so many lines; undefined: all. */
  readonly tail: number | undefined;
  readonly timestamps: boolean;
  /** Goes on until this settles and the log is read to its end; undefined: up to the present end. */
  readonly follow: Promise<void> | undefined;
}

const blockBytes = 64 * 1024;
const newline = 10;

export async function* readLog(
  path: string,
  options: LogOptions,
  signal: AbortSignal,
): AsyncGenerator<OutputChunk> {
  await using file = await openLog(path);
  // The log is made with the sandbox; a workload that never ran has none.
  if (file === undefined) return;
  using changes = options.follow === undefined ? undefined : new Changes(path, options.follow, signal);
  const selection = new Selection(options);
  let position = options.tail === undefined ? 0 : await tailStart(file.handle, options);
  let carry: Buffer = Buffer.alloc(0);
  const block = Buffer.allocUnsafe(blockBytes);
  while (!signal.aborted && !selection.over) {
    const final = changes?.ended ?? true;
    const { bytesRead } = await file.handle.read(block, 0, blockBytes, position);
    if (bytesRead === 0) {
      if (final || changes === undefined) return;
      await changes.next();
      continue;
    }
    position += bytesRead;
    const text = Buffer.concat([carry, block.subarray(0, bytesRead)]);
    const end = text.lastIndexOf(newline) + 1;
    carry = text.subarray(end);
    yield* selection.chunksOf(text.subarray(0, end));
  }
}

async function openLog(path: string): Promise<(AsyncDisposable & { handle: FileHandle }) | undefined> {
  try {
    const handle = await open(path, "r");
    return { handle, [Symbol.asyncDispose]: () => handle.close() };
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

/** Tells when there may be more to read. A change between two calls of `next` is not lost. */
class Changes implements Disposable {
  readonly #watcher;
  #changed = false;
  #wake: (() => void) | undefined;
  ended = false;

  constructor(path: string, end: Promise<void>, signal: AbortSignal) {
    this.#watcher = watch(path, () => this.#note());
    end.then(() => {
      this.ended = true;
      this.#note();
    });
    signal.addEventListener("abort", () => this.#note(), { once: true });
  }

  async next(): Promise<void> {
    if (!this.#changed)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    this.#changed = false;
  }

  [Symbol.dispose](): void {
    this.#watcher.close();
  }

  #note(): void {
    this.#changed = true;
    this.#wake?.();
  }
}

/** Turns log lines into output: chosen streams and times only, neighbours of one stream joined. */
class Selection {
  readonly #options: LogOptions;
  readonly #timed: boolean;
  /** Whether the next line of a stream goes on with a line that was begun, so gets no time in front. */
  readonly #inLine = { stdout: false, stderr: false };
  /** A line after `until` was seen: nothing more can come. */
  over = false;

  constructor(options: LogOptions) {
    this.#options = options;
    this.#timed = options.since !== undefined || options.until !== undefined;
  }

  *chunksOf(lines: Buffer): Generator<OutputChunk> {
    let stream: OutputChunk["stream"] = "stdout";
    let parts: Uint8Array[] = [];
    for (let start = 0; start < lines.length && !this.over; ) {
      const end = lines.indexOf(newline, start);
      const line = parseLogLine(lines.subarray(start, end));
      start = end + 1;
      if (line === undefined || !this.#wants(line)) continue;
      if (line.stream !== stream && parts.length > 0) {
        yield { stream, data: Buffer.concat(parts) };
        parts = [];
      }
      stream = line.stream;
      if (this.#options.timestamps && !this.#inLine[stream])
        parts.push(Buffer.from(`${formatTime(line.time)} `));
      this.#inLine[stream] = line.data[line.data.length - 1] !== newline;
      parts.push(line.data);
    }
    if (parts.length > 0) yield { stream, data: Buffer.concat(parts) };
  }

  #wants(line: LogLine): boolean {
    if (!this.#options[line.stream]) return false;
    if (!this.#timed) return true;
    const time = parseTime(line.time);
    if (time === undefined) return true;
    const { since, until } = this.#options;
    if (until !== undefined && time > until) {
      this.over = true;
      return false;
    }
    return since === undefined || time >= since;
  }
}

/** Where the last `tail` lines of the chosen streams begin, found from the end of the file. */
async function tailStart(file: FileHandle, options: LogOptions): Promise<number> {
  const { size } = await file.stat();
  let wanted = options.tail ?? 0;
  if (wanted <= 0) return size;
  let begin = size;
  let rest: Buffer = Buffer.alloc(0);
  for (let blockEnd = size; blockEnd > 0; ) {
    const blockStart = Math.max(0, blockEnd - blockBytes);
    const block = Buffer.alloc(blockEnd - blockStart);
    await file.read(block, 0, block.length, blockStart);
    const text = Buffer.concat([block, rest]);
    let lineEnd = text.length;
    for (;;) {
      const before = lineEnd < 2 ? -1 : text.lastIndexOf(newline, lineEnd - 2);
      if (before < 0 && blockStart > 0) break;
      const line = parseLogLine(text.subarray(before + 1, Math.max(before + 1, lineEnd - 1)));
      const whole = line !== undefined && (line.data[line.data.length - 1] === newline || begin === size);
      if (line !== undefined && options[line.stream] && whole && wanted-- === 0) return begin;
      begin = blockStart + before + 1;
      if (before < 0) return 0;
      lineEnd = before + 1;
    }
    rest = text.subarray(0, lineEnd);
    blockEnd = blockStart;
  }
  return begin;
}
