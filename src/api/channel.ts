/** A connection as bytes both ways, with back-pressure and an end of its own for each way. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex, Readable, Writable } from "node:stream";

/** Milliseconds that a client gets to close its side after the last byte of output. */
const lingerTime = 2000;

export interface ByteChannel {
  /** What the client sends, until it ends its side. To be consumed once. */
  readonly input: AsyncIterable<Uint8Array>;
  /** Resolves when more may be written; bytes for a client that is gone are dropped. */
  write(data: Uint8Array): Promise<void>;
  /** No more output. */
  end(): void;
  /** Aborts when the client is gone, both ways. */
  readonly gone: AbortSignal;
}

export function channelOfSocket(socket: Duplex, head: Uint8Array): ByteChannel {
  const gone = goneWith(socket);
  return {
    input: headFirst(head, socket),
    write: (data) => writeTo(socket, data),
    end() {
      // Closing with unread input would reset the connection under the client's last reads. The time runs from
      // when the client has taken the last byte: a slow one loses nothing.
      socket.end(() => {
        const timer = setTimeout(() => socket.destroy(), lingerTime);
        timer.unref();
        gone.addEventListener("abort", () => clearTimeout(timer), { once: true });
      });
      socket.resume();
    },
    gone,
  };
}

export function channelOfResponse(request: IncomingMessage, response: ServerResponse): ByteChannel {
  return {
    input: request.iterator({ destroyOnReturn: false }),
    write: (data) => writeTo(response, data),
    end: () => {
      response.end();
    },
    gone: goneWith(response),
  };
}

async function* headFirst(head: Uint8Array, rest: Readable): AsyncGenerator<Uint8Array> {
  if (head.length > 0) yield head;
  yield* rest.iterator({ destroyOnReturn: false });
}

function goneWith(stream: Writable): AbortSignal {
  const control = new AbortController();
  stream.on("close", () => control.abort());
  // A client that is gone is no error of ours; `close` follows.
  stream.on("error", () => control.abort());
  return control.signal;
}

async function writeTo(stream: Writable, data: Uint8Array): Promise<void> {
  if (stream.destroyed || stream.writableEnded) return;
  if (stream.write(data)) return;
  await new Promise<void>((resolve) => {
    const settle = (): void => {
      stream.off("drain", settle);
      stream.off("close", settle);
      stream.off("error", settle);
      resolve();
    };
    stream.on("drain", settle);
    stream.on("close", settle);
    stream.on("error", settle);
  });
}
