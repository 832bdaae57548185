/** The workload's log as this daemon writes it, and how much of it an earlier daemon wrote. */
import {
  closeSync,
  createReadStream,
  fstatSync,
  ftruncateSync,
  openSync,
  statSync,
  truncateSync,
  writeSync,
} from "node:fs";
import { errnoNameOf } from "../../host/system-error.ts";
import { formatLogLines, parseLogLine } from "../log.ts";
import type { OutputChunk } from "../wall.ts";

export class OutputLog {
  readonly #path: string;
  #descriptor: number | undefined;
  #closed = false;

  constructor(path: string) {
    this.#path = path;
    // There from the start: who follows a log waits for changes of the file.
    closeSync(openSync(path, "a", 0o600));
  }

  /** Appends the chunks: when this returns they survive the daemon, when it throws the log has none of them. */
  append(chunks: readonly OutputChunk[]): void {
    this.#descriptor ??= openSync(this.#path, "a", 0o600);
    try {
      this.#append(this.#descriptor, chunks);
    } finally {
      // What is on its way when a machine is lost comes after the end.
      if (this.#closed) this.close();
    }
  }

  #append(descriptor: number, chunks: readonly OutputChunk[]): void {
    const time = new Date().toISOString().replace("Z", "000000+00:00");
    const lines = Buffer.concat(chunks.map(({ stream, data }) => formatLogLines(stream, data, time)));
    const { size } = fstatSync(descriptor);
    try {
      for (let at = 0; at < lines.length; ) at += writeSync(descriptor, lines, at);
    } catch (error) {
      ftruncateSync(descriptor, size);
      throw error;
    }
  }

  close(): void {
    this.#closed = true;
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }
}

/** The size of a log; 0 when there is none. */
export function logSize(path: string): number {
  try {
    return statSync(path).size;
  } catch (error) {
    if (errnoNameOf(error) === "ENOENT") return 0;
    throw error;
  }
}

/**
 * Counts the bytes of stdout and stderr that the log has from the offset `start` on. A last line that a killed
 * daemon left unfinished is cut off: the agent still has its bytes.
 */
export async function countLogged(path: string, start: number): Promise<[number, number]> {
  const size = logSize(path);
  const counts: [number, number] = [0, 0];
  if (size <= start) return counts;
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of createReadStream(path, { start, end: size - 1, highWaterMark: 1024 * 1024 })) {
    const data = Buffer.concat([rest, chunk as Buffer]);
    let at = 0;
    for (let end = data.indexOf(10); end >= 0; end = data.indexOf(10, at)) {
      const line = parseLogLine(data.subarray(at, end));
      if (line !== undefined) counts[line.stream === "stdout" ? 0 : 1] += line.data.length;
      at = end + 1;
    }
    rest = data.subarray(at);
  }
  if (rest.length > 0) truncateSync(path, size - rest.length);
  return counts;
}
