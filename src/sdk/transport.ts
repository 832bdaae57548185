/**
 * Requests over one unix socket: plain ones over kept connections, and those that take their connection over
 * (Docker's "hijacked" attach and exec).
 */
import { ApiError, apiErrorOf, ConnectionError, ProtocolError } from "./api-error.ts";
import { type ByteStream, connectUnix } from "./byte-stream.ts";
import { type BodyReader, bodyReader } from "./http-body.ts";
import { type ResponseHead, readHead, requestHead } from "./http-head.ts";

/** A connection that idled longer is not used again: the daemon may be closing it at this very moment. */
const keepMilliseconds = 2000;
const keptConnections = 4;
/** The body of a plain answer. */
const bodyLimit = 256 * 1024 * 1024;
const errorLimit = 1024 * 1024;
const uploadChunkBytes = 512 * 1024;
const lineEnd = Buffer.from("\r\n");

export type QueryValue = string | number | boolean | readonly string[] | undefined;

export interface RequestOptions {
  readonly query?: Readonly<Record<string, QueryValue>> | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Sent as JSON. */
  readonly json?: unknown;
  readonly upload?: Upload | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface Upload {
  readonly data: AsyncIterable<Uint8Array>;
  /** Bytes; undefined: unknown, the upload is sent in chunks. */
  readonly size?: number | undefined;
  readonly contentType: string;
}

export interface Answer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: BodyReader;
  /** Lets go of an answer that is not read to its end. */
  cancel(): void;
}

export class Transport {
  readonly socket: string;
  readonly #prefix: string;
  readonly #idle: { readonly stream: ByteStream; readonly since: number }[] = [];

  constructor(socket: string, version: string) {
    this.socket = socket;
    this.#prefix = version === "" ? "" : `/v${version}`;
  }

  /** Sends a request and returns its answer once the head has come; statuses from 400 on are thrown as `ApiError`. */
  async request(method: string, path: string, options: RequestOptions = {}): Promise<Answer> {
    options.signal?.throwIfAborted();
    const stream = this.#takeIdle() ?? (await connectUnix(this.socket));
    const abort = () => stream.close();
    options.signal?.addEventListener("abort", abort, { once: true });
    try {
      const sending = this.#send(stream, method, path, options, {});
      // A daemon that refuses an upload answers before it has read all of it: then the answer counts.
      sending.catch(() => undefined);
      const early = options.upload === undefined ? undefined : sending.then(() => undefined);
      const head = await firstHead(stream, early);
      if (head === undefined)
        throw new ConnectionError("the hull daemon closed the connection without an answer");
      const finish = (reusable: boolean) => {
        options.signal?.removeEventListener("abort", abort);
        if (reusable)
          sending.then(
            () => this.#keep(stream),
            () => stream.close(),
          );
        else stream.close();
      };
      const body = bodyReader(stream, head, method, finish);
      if (head.status >= 400) throw apiErrorOf(head.status, await readAll(body, errorLimit));
      return { status: head.status, headers: head.headers, body, cancel: abort };
    } catch (error) {
      if (!(error instanceof ApiError)) stream.close();
      options.signal?.throwIfAborted();
      throw error;
    }
  }

  /** A request whose answer is read whole. */
  async call(method: string, path: string, options: RequestOptions = {}): Promise<Uint8Array> {
    const answer = await this.request(method, path, options);
    return readAll(answer.body, bodyLimit);
  }

  /** A request whose answer is JSON. */
  async json(method: string, path: string, options: RequestOptions = {}): Promise<unknown> {
    const body = await this.call(method, path, options);
    try {
      return JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.length).toString("utf8"));
    } catch (error) {
      throw new ProtocolError(`the daemon's answer to ${method} ${path} is not JSON`, { cause: error });
    }
  }

  /** A request that takes its connection over: what follows the heads is a stream of its own, both ways. */
  async hijack(
    path: string,
    options: RequestOptions = {},
  ): Promise<{ stream: ByteStream; head: ResponseHead }> {
    const stream = await connectUnix(this.socket);
    try {
      await this.#send(stream, "POST", path, options, { Connection: "Upgrade", Upgrade: "tcp" });
      const head = await readHead(stream);
      if (head === undefined)
        throw new ConnectionError("the hull daemon closed the connection without an answer");
      if (head.status >= 400)
        throw apiErrorOf(
          head.status,
          await readAll(
            bodyReader(stream, head, "POST", () => undefined),
            errorLimit,
          ),
        );
      // 200: an older daemon that takes the connection over without saying so.
      if (head.status !== 101 && head.status !== 200)
        throw new ProtocolError(
          `the daemon answered ${head.status} where the connection should have been upgraded`,
        );
      return { stream, head };
    } catch (error) {
      stream.close();
      throw error;
    }
  }

  async open(): Promise<void> {
    this.#keep(await connectUnix(this.socket));
  }

  /** Closes the connections that wait for more requests. */
  close(): void {
    for (const { stream } of this.#idle.splice(0)) stream.close();
  }

  async #send(
    stream: ByteStream,
    method: string,
    path: string,
    options: RequestOptions,
    extra: Readonly<Record<string, string>>,
  ): Promise<void> {
    const target = `${this.#prefix}${path}${queryOf(options.query)}`;
    const headers = { ...options.headers, ...extra };
    const { upload } = options;
    if (upload !== undefined) {
      const size = upload.size;
      const length =
        size === undefined ? { "Transfer-Encoding": "chunked" } : { "Content-Length": String(size) };
      await stream.write(
        requestHead(method, target, { ...headers, "Content-Type": upload.contentType, ...length }),
      );
      return sendUpload(stream, upload);
    }
    if (options.json === undefined) {
      const length = method === "POST" ? { "Content-Length": "0" } : {};
      return stream.write(requestHead(method, target, { ...headers, ...length }));
    }
    const body = JSON.stringify(options.json);
    const length = String(Buffer.byteLength(body));
    const head = requestHead(method, target, {
      ...headers,
      "Content-Type": "application/json",
      "Content-Length": length,
    });
    return stream.write(head + body);
  }

  #takeIdle(): ByteStream | undefined {
    for (;;) {
      const kept = this.#idle.pop();
      if (kept === undefined) return undefined;
      if (!kept.stream.closed && !kept.stream.readable && performance.now() - kept.since < keepMilliseconds) {
        kept.stream.hold(true);
        return kept.stream;
      }
      kept.stream.close();
    }
  }

  #keep(stream: ByteStream): void {
    if (stream.closed || stream.readable || this.#idle.length >= keptConnections) {
      stream.close();
      return;
    }
    stream.hold(false);
    this.#idle.push({ stream, since: performance.now() });
  }
}

/** The answer's head; when the sending fails first, an answer may still be there to say why. */
async function firstHead(
  stream: ByteStream,
  sending: Promise<void> | undefined,
): Promise<ResponseHead | undefined> {
  const head = readHead(stream);
  if (sending === undefined) return head;
  head.catch(() => undefined);
  try {
    await Promise.race([sending, head]);
  } catch (error) {
    const answered = await head.catch(() => undefined);
    if (answered !== undefined) return answered;
    throw error;
  }
  const received = await head;
  // The sending may have closed the connection, and is about to say why.
  if (received === undefined) await Promise.race([sending, Bun.sleep(0)]);
  return received;
}

async function sendUpload(stream: ByteStream, upload: Upload): Promise<void> {
  if (upload.size === undefined) return sendChunks(stream, upload.data);
  let sent = 0;
  for await (const part of upload.data) {
    sent += part.length;
    if (sent > upload.size) {
      stream.close();
      throw new ConnectionError(`the upload grew over the ${upload.size} bytes it was announced with`);
    }
    await stream.write(part);
  }
  if (sent < upload.size) {
    stream.close();
    throw new ConnectionError(`the upload ended after ${sent} of ${upload.size} bytes`);
  }
}

/** Pipes give small parts, and a chunk costs the daemon more than its bytes do: several parts make a chunk. */
async function sendChunks(stream: ByteStream, data: AsyncIterable<Uint8Array>): Promise<void> {
  let parts: Uint8Array[] = [];
  let size = 0;
  const flush = async () => {
    if (size === 0) return;
    await stream.write(Buffer.concat([Buffer.from(`${size.toString(16)}\r\n`), ...parts, lineEnd]));
    parts = [];
    size = 0;
  };
  for await (const part of data) {
    parts.push(part);
    size += part.length;
    if (size >= uploadChunkBytes) await flush();
  }
  await flush();
  return stream.write("0\r\n\r\n");
}

function queryOf(query: RequestOptions["query"]): string {
  if (query === undefined) return "";
  const parts: string[] = [];
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined) continue;
    for (const item of Array.isArray(value) ? value : [value])
      parts.push(
        `${encodeURIComponent(name)}=${encodeURIComponent(item === true ? "1" : item === false ? "0" : String(item))}`,
      );
  }
  return parts.length === 0 ? "" : `?${parts.join("&")}`;
}

export async function readAll(body: BodyReader, limit: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const part = await body.read();
    if (part === undefined) break;
    size += part.length;
    if (size > limit) throw new ProtocolError(`the daemon's answer is over ${limit} bytes`);
    parts.push(part);
  }
  const [only] = parts;
  return parts.length === 1 && only !== undefined ? only : Buffer.concat(parts);
}
