/**
 * The process that converts layers, one at a time: it reads a blob while the daemon still writes it, and ends when
 * the daemon does. A tar of a million members takes its memory here, and gives it back with the process.
 */
import { closeSync, openSync, readSync } from "node:fs";
import * as v from "valibot";
import { convertLayer } from "./convert.ts";
import {
  commandSchema,
  failureOf,
  type LastAnswer,
  linesOf,
  type WorkerAnswer,
  type WorkerCommand,
} from "./worker-protocol.ts";

const readBytes = 256 * 1024;
/** Milliseconds between two answers that only say how far a conversion is. */
const reportInterval = 200;

type Job = Extract<WorkerCommand, { convert: unknown }>["convert"];

/** Resolves when standard input ends. */
export async function serveConversions(
  input: AsyncIterable<Uint8Array>,
  answer: (answer: WorkerAnswer) => Promise<void>,
): Promise<void> {
  let arrival: Arrival | undefined;
  for await (const line of linesOf(input)) {
    const command = v.parse(commandSchema, JSON.parse(line));
    if ("convert" in command) {
      arrival = new Arrival();
      void convert(command.convert, arrival, answer).then(answer);
    } else arrival?.tell("end" in command);
  }
}

async function convert(
  job: Job,
  arrival: Arrival,
  report: (answer: WorkerAnswer) => Promise<void>,
): Promise<LastAnswer> {
  let said = performance.now();
  const onTaken = (taken: number): void => {
    const now = performance.now();
    if (now < said + reportInterval) return;
    said = now;
    // Whoever does not hear it any more has ended this process, or will hear that it failed.
    void report({ taken }).catch(() => undefined);
  };
  try {
    return { converted: await convertLayer(growing(job.blob, arrival, onTaken), job, "own") };
  } catch (error) {
    return failureOf(error);
  }
}

/** What is known of a file that somebody else writes. */
class Arrival {
  ended = false;
  #news = Promise.withResolvers<void>();

  /** Resolves at the next news. */
  get news(): Promise<void> {
    return this.#news.promise;
  }

  tell(ended: boolean): void {
    this.ended = ended;
    this.#news.resolve();
    this.#news = Promise.withResolvers();
  }
}

/** The bytes of a file from its start to its end, which is known once `arrival` has ended. A chunk is good until the next. */
async function* growing(
  path: string,
  arrival: Arrival,
  onTaken: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  const file = openSync(path, "r");
  try {
    const buffer = Buffer.allocUnsafe(readBytes);
    for (let position = 0; ; ) {
      // Looked at before reading: what came before the end is read after it.
      const { ended, news } = arrival;
      const bytes = readSync(file, buffer, 0, buffer.length, position);
      position += bytes;
      if (bytes > 0) {
        yield buffer.subarray(0, bytes);
        onTaken(position);
      } else if (ended) return;
      else await news;
    }
  } finally {
    closeSync(file);
  }
}
