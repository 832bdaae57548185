/**
 * One request and its answer, as route handlers see them: parsed path and query, a bounded body, an answer that
 * is JSON, a stream, or a connection taken over (Docker's hijack). Handlers throw; server.ts turns errors into
 * answers.
 */
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import * as v from "valibot";
import { HullError, messageOf } from "../contract/errors.ts";
import { type ByteChannel, channelOfResponse, channelOfSocket } from "./channel.ts";

/** Most bytes of a JSON body. */
const bodyLimit = 4 * 1024 * 1024;

interface ExchangeParts {
  readonly request: IncomingMessage;
  /** A response, or the bare connection of a request that asked for an upgrade. */
  readonly answer: ServerResponse | { readonly socket: Duplex; readonly head: Uint8Array };
  readonly parameters: Readonly<Record<string, string | undefined>>;
  readonly query: URLSearchParams;
  readonly version: ApiVersion;
}

export interface ApiVersion {
  readonly major: number;
  readonly minor: number;
}

export class Exchange {
  readonly request: IncomingMessage;
  readonly query: URLSearchParams;
  readonly version: ApiVersion;
  readonly #answer: ExchangeParts["answer"];
  readonly #parameters: ExchangeParts["parameters"];
  readonly #gone = new AbortController();
  #begun = false;

  constructor(parts: ExchangeParts) {
    this.request = parts.request;
    this.query = parts.query;
    this.version = parts.version;
    this.#answer = parts.answer;
    this.#parameters = parts.parameters;
    const carrier = isResponse(parts.answer) ? parts.answer : parts.answer.socket;
    carrier.on("close", () => this.#gone.abort());
  }

  /** Aborts when the client is gone or the answer is complete. */
  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  /** Whether anything of the answer was sent, so that an error cannot be told any more. */
  get begun(): boolean {
    return this.#begun;
  }

  /** A part of the path. */
  parameter(name: string): string {
    const value = this.#parameters[name];
    if (value === undefined) throw new HullError("internal", { what: `the route has no part ${name}` });
    return value;
  }

  /** Docker's reading of a flag: absent, empty, 0, no, false and none are false. */
  flag(name: string, otherwise = false): boolean {
    const value = this.query.get(name);
    if (value === null) return otherwise;
    return !["", "0", "no", "false", "none"].includes(value.trim().toLowerCase());
  }

  integer(name: string): number | undefined {
    const value = this.query.get(name);
    if (value === null || value === "") return undefined;
    if (!/^-?\d{1,15}$/.test(value))
      throw new HullError("invalidParameter", { what: name, value, why: "it needs to be an integer" });
    return Number(value);
  }

  text(name: string): string {
    return this.query.get(name) ?? "";
  }

  /** A parameter that is JSON; undefined: it is absent. */
  jsonParameter(name: string): unknown {
    const text = this.text(name);
    if (text === "") return undefined;
    try {
      return JSON.parse(text);
    } catch (error) {
      throw new HullError(
        "invalidParameter",
        { what: name, value: text, why: `it is not JSON: ${messageOf(error)}` },
        { cause: error },
      );
    }
  }

  atLeast(major: number, minor: number): boolean {
    const { version } = this;
    return version.major > major || (version.major === major && version.minor >= minor);
  }

  /** The body as JSON of a schema. An absent body is read as `{}`. */
  async json<const TSchema extends v.GenericSchema>(schema: TSchema): Promise<v.InferOutput<TSchema>> {
    const bytes = await this.#body();
    let value: unknown = {};
    if (bytes.length > 0) {
      try {
        value = JSON.parse(bytes.toString("utf8"));
      } catch (error) {
        throw new HullError(
          "corrupt",
          { what: "the request body", why: error instanceof Error ? error.message : "it is not JSON" },
          { cause: error },
        );
      }
    }
    if (typeof value !== "object" || Array.isArray(value))
      throw new HullError("corrupt", { what: "the request body", why: "it is no JSON object" });
    return parseWith(schema, value ?? {}, "request body");
  }

  /** The body as it arrives. */
  stream(): ReadableStream<Uint8Array> {
    const chunks = this.request.iterator({ destroyOnReturn: false });
    return new ReadableStream<Uint8Array>(
      {
        async pull(controller) {
          const { done, value } = await chunks.next();
          if (done) controller.close();
          else controller.enqueue(value);
        },
      },
      { highWaterMark: 0 },
    );
  }

  sendJson(status: number, value: unknown): void {
    this.sendBytes(status, Buffer.from(`${JSON.stringify(value)}\n`), "application/json");
  }

  sendText(status: number, text: string): void {
    this.sendBytes(status, Buffer.from(text), "text/plain; charset=utf-8");
  }

  sendEmpty(status: number, headers: Readonly<Record<string, string>> = {}): void {
    this.sendBytes(status, Buffer.alloc(0), undefined, headers);
  }

  sendBytes(
    status: number,
    body: Buffer,
    type: string | undefined,
    more: Readonly<Record<string, string>> = {},
  ): void {
    this.#begun = true;
    const bodyless = status === 204 || status === 304;
    const headers = {
      ...more,
      ...(type === undefined ? {} : { "Content-Type": type }),
      ...(bodyless ? {} : { "Content-Length": String(body.length) }),
    };
    if (isResponse(this.#answer)) {
      this.#answer.writeHead(status, headers);
      this.#answer.end(body);
      return;
    }
    const head = Object.entries({ ...headers, Connection: "close" }).map(
      ([name, value]) => `${name}: ${value}\r\n`,
    );
    const { socket } = this.#answer;
    socket.write(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\n${head.join("")}\r\n`);
    socket.end(body);
    socket.resume();
  }

  /** Begins an answer of unknown length: its head is sent at once. */
  sendStream(type: string, headers: Readonly<Record<string, string>> = {}): ByteChannel {
    if (!isResponse(this.#answer)) return this.hijack(type);
    this.#begun = true;
    this.#answer.writeHead(200, { ...headers, "Content-Type": type });
    this.#answer.flushHeaders();
    return channelOfResponse(this.request, this.#answer);
  }

  /** Takes the connection over: from now on it carries bytes both ways, each way ended by itself. */
  hijack(type: string): ByteChannel {
    if (isResponse(this.#answer)) return this.sendStream(type);
    this.#begun = true;
    const { socket, head } = this.#answer;
    socket.write(
      `HTTP/1.1 101 UPGRADED\r\nContent-Type: ${type}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n`,
    );
    return channelOfSocket(socket, head);
  }

  /** Ends an answer that has begun and cannot be completed, so that the client does not take it for whole. */
  abandon(): void {
    if (isResponse(this.#answer)) this.#answer.destroy();
    else this.#answer.socket.destroy();
  }

  /** A client that leaves in the middle of its body is no failure of the daemon's. */
  async *#chunks(): AsyncGenerator<Buffer> {
    try {
      yield* this.request.iterator({ destroyOnReturn: false });
    } catch (error) {
      if (!this.request.destroyed) throw error;
      throw new HullError(
        "corrupt",
        { what: "the request body", why: "the client left before its end" },
        { cause: error },
      );
    }
  }

  async #body(): Promise<Buffer> {
    const declared = this.request.headers["content-length"];
    const expected = declared === undefined ? undefined : Number(declared);
    // The bytes after the body of an upgraded request belong to the connection, so reading stops in time.
    if (expected === 0 || (expected === undefined && this.request.headers["transfer-encoding"] === undefined))
      return Buffer.alloc(0);
    const parts: Buffer[] = [];
    let size = 0;
    for await (const chunk of this.#chunks()) {
      size += chunk.length;
      if (size > bodyLimit || (expected ?? 0) > bodyLimit)
        throw new HullError("tooLarge", {
          what: "the request body",
          value: expected ?? size,
          limit: bodyLimit,
        });
      parts.push(chunk);
      if (expected !== undefined && size >= expected) break;
    }
    return Buffer.concat(parts);
  }
}

function isResponse(answer: ExchangeParts["answer"]): answer is ServerResponse {
  return "writeHead" in answer;
}

/** Parses outside input; the error names the member that is wrong. */
export function parseWith<const TSchema extends v.GenericSchema>(
  schema: TSchema,
  value: unknown,
  what: string,
): v.InferOutput<TSchema> {
  const result = v.safeParse(schema, value, { abortEarly: true });
  if (result.success) return result.output;
  const [issue] = result.issues;
  const path = v.getDotPath(issue) ?? "";
  throw new HullError("invalidParameter", {
    what: path === "" ? what : `${what} member ${path}`,
    value: issue.received,
    why: issue.message,
  });
}
