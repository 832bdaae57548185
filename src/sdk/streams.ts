/** The standard streams of a running program, over a connection that attach or exec took over. */
import { multiplexedStream } from "../contract/docker.ts";
import type { ByteStream } from "./byte-stream.ts";
import type { BodyReader } from "./http-body.ts";
import type { ResponseHead } from "./http-head.ts";
import { Demultiplexer, type OutputChunk } from "./stdcopy.ts";

/**
 * Output is not read ahead: a reader that stops stops the program, through the daemon.
 * Letting go (`close`) leaves the program running.
 */
export interface StandardStreams extends Disposable {
  /** Ends after the last byte. To be consumed once. */
  readonly output: AsyncIterable<OutputChunk>;
  /** Writes to standard input; resolves when more may be written. */
  write(data: Uint8Array | string): Promise<void>;
  /** End of standard input. */
  endInput(): void;
  close(): void;
}

/** `terminal`: whether the program has one, as far as the caller knows. */
export function standardStreams(
  stream: ByteStream,
  head: ResponseHead,
  terminal: boolean | undefined,
): StandardStreams {
  const multiplexed = isMultiplexed(head.headers, terminal);
  return {
    output: outputOf(stream, multiplexed),
    write: (data) => stream.write(data),
    endInput: () => stream.endWrite(),
    close: () => stream.close(),
    [Symbol.dispose]: () => stream.close(),
  };
}

export function isMultiplexed(headers: ReadonlyMap<string, string>, terminal: boolean | undefined): boolean {
  // `raw-stream` says nothing by itself: before API 1.42 it was sent for both.
  return headers.get("content-type") === multiplexedStream || terminal === false;
}

export async function* outputOf(
  source: BodyReader,
  multiplexed: boolean,
): AsyncGenerator<OutputChunk, void, void> {
  const demultiplexer = new Demultiplexer();
  for (;;) {
    const bytes = await source.read();
    if (bytes === undefined) break;
    if (multiplexed) yield* demultiplexer.push(bytes);
    else yield { stream: "stdout", data: bytes };
  }
  if (multiplexed) demultiplexer.end();
}
