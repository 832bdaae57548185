/**
 * A connection to a workload's standard streams by conmon's attach socket (SOCK_SEQPACKET).
 *
 * conmon sends packets whose first byte says the stream, and blocks while a packet cannot be sent: so a slow
 * attachment loses nothing, it slows the workload down. Input goes in packets of at most 32 KiB, the size of
 * conmon's buffer; the rest of a bigger one would be lost.
 */

import { errnoNameOf } from "../../host/system-error.ts";
import { connectSequencedPacket, shutDownSocket } from "../../host/unix-socket.ts";
import type { Attachment, OutputChunk } from "../wall.ts";

export interface AttachmentOptions {
  /** Whether writes reach standard input. */
  readonly stdin: boolean;
  /**
   * conmon ends standard input with the first attachment that goes. One that never writes must then stay
   * connected, deaf, until the workload ends.
   */
  readonly lingerAfterDetach: boolean;
}

/** An attachment whose connection can be ended for good, whatever `lingerAfterDetach` says. */
export interface ConnectedAttachment extends Attachment {
  /** Resolves when the connection has ended. */
  readonly closed: Promise<void>;
  close(): void;
}

const inputPacketSize = 32 * 1024;
/** Bytes waiting for the reader at which reading stops, and at which it goes on. */
const highWater = 512 * 1024;
const lowWater = 64 * 1024;
const stdoutMark = 2;
const stderrMark = 3;

/** Connects to the attach socket at `path`. Everything written after this call has returned is seen. */
export async function openAttachment(path: string, options: AttachmentOptions): Promise<ConnectedAttachment> {
  const descriptor = await connectWhenThereIsRoom(path);
  const attachment = new ConmonAttachment(descriptor, options);
  // Bun's types do not know that `connect` also takes a connected descriptor.
  const target = { fd: descriptor, allowHalfOpen: true, socket: attachment.handlers } as unknown;
  attachment.open(await Bun.connect(target as Bun.UnixSocketOptions<undefined>));
  return attachment;
}

/** conmon takes its attachments one by one; while its queue is full, the kernel says to try again. */
async function connectWhenThereIsRoom(path: string): Promise<number> {
  for (;;) {
    try {
      return connectSequencedPacket(path);
    } catch (error) {
      if (errnoNameOf(error) !== "EAGAIN") throw error;
      await Bun.sleep(2);
    }
  }
}

class ConmonAttachment implements ConnectedAttachment {
  readonly closed: Promise<void>;
  readonly output: AsyncIterable<OutputChunk>;
  readonly handlers: Bun.SocketHandler<undefined>;
  readonly #descriptor: number;
  readonly #options: AttachmentOptions;
  readonly #chunks: OutputChunk[] = [];
  readonly #resolveClosed: () => void;
  #waiting = 0;
  #lingers = false;
  #paused = false;
  #ended = false;
  #inputEnded = false;
  #wakeReader: (() => void) | undefined;
  #wakeWriter: (() => void) | undefined;
  #lastWrite: Promise<void> = Promise.resolve();
  #socket: Bun.Socket<undefined> | undefined;

  constructor(descriptor: number, options: AttachmentOptions) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    this.#resolveClosed = resolve;
    this.#descriptor = descriptor;
    this.#options = options;
    this.output = this.#read();
    this.handlers = {
      binaryType: "uint8array",
      data: (_, packet) => this.#receive(packet),
      drain: () => this.#wakeWriter?.(),
      end: () => {
        if (!this.#lingers) this.close();
      },
      close: () => this.close(),
      error: () => this.close(),
    };
  }

  open(socket: Bun.Socket<undefined>): void {
    this.#socket = socket;
  }

  write(data: Uint8Array): Promise<void> {
    const written = this.#lastWrite.then(() => this.#send(data));
    this.#lastWrite = written;
    return written;
  }

  endInput(): Promise<void> {
    const ended = this.#lastWrite.then(() => {
      if (this.#inputEnded || this.#ended) return;
      this.#inputEnded = true;
      shutDownSocket(this.#descriptor, "send");
    });
    this.#lastWrite = ended;
    return ended;
  }

  detach(): void {
    if (this.#ended) return;
    if (!this.#options.lingerAfterDetach || this.#inputEnded) {
      this.close();
      return;
    }
    // conmon's next write fails and it forgets this side; its reading side stays quiet and open.
    this.#lingers = true;
    shutDownSocket(this.#descriptor, "receive");
    this.#socket?.resume();
    this.#finish();
  }

  close(): void {
    this.#finish();
    this.#socket?.terminate();
    this.#socket = undefined;
    this.#resolveClosed();
  }

  async #send(data: Uint8Array): Promise<void> {
    if (!this.#options.stdin) return;
    for (let start = 0; start < data.length && !this.#ended && !this.#inputEnded; ) {
      const packet = data.subarray(start, start + inputPacketSize);
      const sent = this.#socket?.write(packet) ?? 0;
      if (sent > 0) start += sent;
      else {
        await new Promise<void>((resolve) => {
          this.#wakeWriter = resolve;
        });
        this.#wakeWriter = undefined;
      }
    }
  }

  #receive(packet: Uint8Array): void {
    if (this.#ended) return;
    const mark = packet[0];
    if (packet.length < 2 || (mark !== stdoutMark && mark !== stderrMark)) return;
    const data = packet.subarray(1);
    this.#chunks.push({ stream: mark === stdoutMark ? "stdout" : "stderr", data });
    this.#waiting += data.length;
    if (this.#waiting >= highWater && !this.#paused) {
      this.#paused = true;
      this.#socket?.pause();
    }
    this.#wakeReader?.();
  }

  async *#read(): AsyncGenerator<OutputChunk> {
    try {
      for (;;) {
        const chunk = this.#chunks.shift();
        if (chunk !== undefined) {
          this.#waiting -= chunk.data.length;
          if (this.#paused && this.#waiting <= lowWater) {
            this.#paused = false;
            this.#socket?.resume();
          }
          yield chunk;
        } else if (this.#ended) return;
        else
          await new Promise<void>((resolve) => {
            this.#wakeReader = resolve;
          });
      }
    } finally {
      this.detach();
    }
  }

  /** No more output; what already arrived is still read. */
  #finish(): void {
    this.#ended = true;
    this.#wakeReader?.();
    this.#wakeWriter?.();
  }
}

/** An attachment to something that has ended: no output, and input goes nowhere. */
export const endedAttachment: Attachment = {
  output: {
    [Symbol.asyncIterator]: () => ({ next: () => Promise.resolve({ done: true, value: undefined }) }),
  },
  write: () => Promise.resolve(),
  endInput: () => Promise.resolve(),
  detach: () => undefined,
};
