/** The heads of HTTP/1.1 messages (RFC 9112): writing a request's, reading an answer's. */
import { ProtocolError } from "./api-error.ts";
import type { ByteStream } from "./byte-stream.ts";

/** A longer head is not from a daemon. */
const headLimit = 64 * 1024;

export interface ResponseHead {
  readonly status: number;
  /** Names in lower case; repeated ones are joined by a comma. */
  readonly headers: ReadonlyMap<string, string>;
}

export function requestHead(
  method: string,
  target: string,
  headers: Readonly<Record<string, string>>,
): string {
  const lines = [`${method} ${target} HTTP/1.1`, "Host: hull"];
  for (const [name, value] of Object.entries(headers)) {
    if (/[\r\n\0]/.test(value)) throw new TypeError(`the header ${name} cannot hold a line break`);
    lines.push(`${name}: ${value}`);
  }
  return `${lines.join("\r\n")}\r\n\r\n`;
}

/** Reads one head, however it was split, and leaves what follows it in the stream. undefined: ended before its first byte. */
export async function readHead(stream: ByteStream): Promise<ResponseHead | undefined> {
  let bytes: Uint8Array = new Uint8Array(0);
  for (;;) {
    const more = await stream.read();
    if (more === undefined) {
      if (bytes.length === 0) return undefined;
      throw new ProtocolError("the daemon's answer ended within its head");
    }
    // The end may be split: look again from three bytes before the new ones.
    const from = Math.max(0, bytes.length - 3);
    bytes = bytes.length === 0 ? more : Buffer.concat([bytes, more]);
    const end = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).indexOf("\r\n\r\n", from);
    if (end >= 0 && end <= headLimit) {
      stream.unread(bytes.subarray(end + 4));
      return parseHead(Buffer.from(bytes.buffer, bytes.byteOffset, end).toString("latin1"));
    }
    if (end >= 0 || bytes.length > headLimit)
      throw new ProtocolError(`the head of the daemon's answer is over ${headLimit} bytes`);
  }
}

function parseHead(text: string): ResponseHead {
  const [first = "", ...lines] = text.split("\r\n");
  const status = /^HTTP\/1\.[01] (\d{3})(?: |$)/.exec(first)?.[1];
  if (status === undefined)
    throw new ProtocolError(
      `the daemon's answer is not HTTP: it begins with ${JSON.stringify(first.slice(0, 60))}`,
    );
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(":");
    if (colon < 1)
      throw new ProtocolError(`the daemon sent a bad header: ${JSON.stringify(line.slice(0, 60))}`);
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    const before = headers.get(name);
    headers.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  return { status: Number(status), headers };
}
