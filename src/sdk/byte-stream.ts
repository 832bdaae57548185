/**
 * A unix socket as a stream with back-pressure both ways and half-close both ways.
 *
 * Bun's own socket rather than node:net: loading node:net takes about as long as all the requests of a `run`.
 */
import { ConnectionError, connectionErrorOf } from "./api-error.ts";

/** The socket is not read from while this much waits to be taken. */
const highWaterBytes = 256 * 1024;

export interface ByteStream {
  /** The next bytes, undefined after the last. One call at a time. Rejects when the connection broke. */
  read(): Promise<Uint8Array | undefined>;
  /** Puts bytes back in front of what comes next. */
  unread(bytes: Uint8Array): void;
  /** Resolves when all of `data` has been handed to the kernel. One call at a time. */
  write(data: Uint8Array | string): Promise<void>;
  /** Half-close: the other side reads end of file. */
  endWrite(): void;
  /** Closes both directions at once. */
  close(): void;
  /** Whether an open connection keeps the program from ending; it does unless said otherwise. */
  hold(held: boolean): void;
  readonly closed: boolean;
  /** Bytes or the end have come that nobody asked for. */
  readonly readable: boolean;
}

type Socket = Bun.Socket<UnixStream>;

export async function connectUnix(path: string): Promise<ByteStream> {
  const stream = new UnixStream();
  try {
    await Bun.connect<UnixStream>({
      unix: path,
      allowHalfOpen: true,
      data: stream,
      socket: {
        open: (socket) => socket.data.onOpen(socket),
        data: (socket, bytes) => socket.data.onData(bytes),
        drain: (socket) => socket.data.onDrain(),
        end: (socket) => socket.data.onEnd(),
        error: (socket, error) => socket.data.onClose(error),
        close: (socket, error) => socket.data.onClose(error),
      },
    });
  } catch (error) {
    throw connectionErrorOf(path, error);
  }
  return stream;
}

class UnixStream implements ByteStream {
  #socket: Socket | undefined;
  readonly #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  #paused = false;
  #ended = false;
  #closed = false;
  #writeEnded = false;
  #failure: ConnectionError | undefined;
  #wakeReader: (() => void) | undefined;
  #wakeWriter: (() => void) | undefined;

  get closed(): boolean {
    return this.#closed;
  }

  get readable(): boolean {
    return this.#queue.length > 0 || this.#ended;
  }

  async read(): Promise<Uint8Array | undefined> {
    for (;;) {
      const bytes = this.#queue.shift();
      if (bytes !== undefined) {
        this.#queuedBytes -= bytes.length;
        if (this.#paused && this.#queuedBytes < highWaterBytes / 2) {
          this.#paused = false;
          this.#socket?.resume();
        }
        return bytes;
      }
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#ended) return undefined;
      await new Promise<void>((resolve) => {
        this.#wakeReader = resolve;
      });
    }
  }

  unread(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#queue.unshift(bytes);
    this.#queuedBytes += bytes.length;
  }

  async write(data: Uint8Array | string): Promise<void> {
    const bytes = typeof data === "string" ? Buffer.from(data) : data;
    for (let offset = 0; offset < bytes.length; ) {
      if (this.#closed || this.#writeEnded || this.#socket === undefined)
        throw this.#failure ?? new ConnectionError("the connection to the hull daemon is closed");
      const written = this.#socket.write(bytes, offset, bytes.length - offset);
      if (written > 0) offset += written;
      if (offset >= bytes.length) return;
      // The kernel took less than all of it: `drain` comes when it takes more.
      await new Promise<void>((resolve) => {
        this.#wakeWriter = resolve;
      });
    }
  }

  endWrite(): void {
    if (this.#closed || this.#writeEnded) return;
    this.#writeEnded = true;
    this.#socket?.shutdown();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#ended = true;
    this.#socket?.terminate();
    this.#wake();
  }

  hold(held: boolean): void {
    if (held) this.#socket?.ref();
    else this.#socket?.unref();
  }

  onOpen(socket: Socket): void {
    this.#socket = socket;
  }

  onData(bytes: Uint8Array): void {
    this.#queue.push(bytes);
    this.#queuedBytes += bytes.length;
    if (!this.#paused && this.#queuedBytes >= highWaterBytes) {
      this.#paused = true;
      this.#socket?.pause();
    }
    this.#wakeReader?.();
  }

  onDrain(): void {
    this.#wakeWriter?.();
  }

  onEnd(): void {
    this.#ended = true;
    if (this.#writeEnded) this.#socket?.end();
    this.#wakeReader?.();
  }

  onClose(error: unknown): void {
    this.#closed = true;
    if (error !== undefined && error !== null && !this.#ended)
      this.#failure ??= new ConnectionError("the connection to the hull daemon broke", undefined, {
        cause: error,
      });
    this.#ended = true;
    this.#wake();
  }

  #wake(): void {
    this.#wakeReader?.();
    this.#wakeWriter?.();
  }
}
