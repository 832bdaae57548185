/** The body of an HTTP/1.1 answer, in whichever of the three ways its end is told (RFC 9112, section 6.3). */
import { ConnectionError, ProtocolError } from "./api-error.ts";
import type { ByteStream } from "./byte-stream.ts";
import type { ResponseHead } from "./http-head.ts";

/** The line of a chunk's size, extensions included, is never longer. */
const chunkLineLimit = 4096;

export interface BodyReader {
  /** The next bytes, undefined after the last. */
  read(): Promise<Uint8Array | undefined>;
}

/** `onEnd` is told once whether the connection may carry another request. */
export function bodyReader(
  stream: ByteStream,
  head: ResponseHead,
  method: string,
  onEnd: (reusable: boolean) => void,
): BodyReader {
  const keepAlive = head.headers.get("connection")?.toLowerCase() !== "close";
  if (method === "HEAD" || head.status === 204 || head.status === 304)
    return emptyBody(() => onEnd(keepAlive));
  if (head.headers.get("transfer-encoding")?.toLowerCase() === "chunked")
    return chunkedBody(stream, () => onEnd(keepAlive));
  const length = head.headers.get("content-length");
  if (length === undefined) return untilClosedBody(stream, () => onEnd(false));
  if (!/^\d{1,15}$/.test(length)) throw new ProtocolError(`the daemon sent a bad content length: ${length}`);
  return sizedBody(stream, Number(length), () => onEnd(keepAlive));
}

function emptyBody(onEnd: () => void): BodyReader {
  onEnd();
  return { read: async () => undefined };
}

function untilClosedBody(stream: ByteStream, onEnd: () => void): BodyReader {
  return {
    async read() {
      const bytes = await stream.read();
      if (bytes === undefined) onEnd();
      return bytes;
    },
  };
}

function sizedBody(stream: ByteStream, length: number, onEnd: () => void): BodyReader {
  if (length === 0) return emptyBody(onEnd);
  let left = length;
  return {
    async read() {
      if (left === 0) return undefined;
      const bytes = await need(stream);
      const part = bytes.subarray(0, left);
      stream.unread(bytes.subarray(part.length));
      left -= part.length;
      if (left === 0) onEnd();
      return part;
    },
  };
}

function chunkedBody(stream: ByteStream, onEnd: () => void): BodyReader {
  let left = 0;
  let started = false;
  let done = false;
  return {
    async read() {
      if (done) return undefined;
      if (left === 0) {
        // The line break that ends the chunk before.
        if (started && (await readLine(stream)) !== "")
          throw new ProtocolError("a chunk of the daemon's answer is too long");
        started = true;
        left = chunkSize(await readLine(stream));
        if (left === 0) {
          // Trailers, up to an empty line.
          while ((await readLine(stream)) !== "");
          done = true;
          onEnd();
          return undefined;
        }
      }
      const bytes = await need(stream);
      const part = bytes.subarray(0, left);
      stream.unread(bytes.subarray(part.length));
      left -= part.length;
      return part;
    },
  };
}

function chunkSize(line: string): number {
  const digits = /^([0-9a-fA-F]{1,12})\s*(?:;.*)?$/.exec(line)?.[1];
  if (digits === undefined)
    throw new ProtocolError(`the daemon sent a bad chunk size: ${JSON.stringify(line.slice(0, 40))}`);
  return Number.parseInt(digits, 16);
}

async function readLine(stream: ByteStream): Promise<string> {
  let line = "";
  for (;;) {
    const bytes = await need(stream);
    const end = bytes.indexOf(10);
    const part = end < 0 ? bytes : bytes.subarray(0, end);
    line += Buffer.from(part.buffer, part.byteOffset, part.length).toString("latin1");
    if (line.length > chunkLineLimit)
      throw new ProtocolError("a line of the daemon's chunked answer is too long");
    if (end >= 0) {
      stream.unread(bytes.subarray(end + 1));
      return line.endsWith("\r") ? line.slice(0, -1) : line;
    }
  }
}

async function need(stream: ByteStream): Promise<Uint8Array> {
  const bytes = await stream.read();
  if (bytes === undefined) throw new ConnectionError("the daemon's answer ended too early");
  return bytes;
}
