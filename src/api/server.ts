/**
 * The HTTP side of the API: finds the route, runs its handler, and turns errors into answers, once, here.
 * Routes are written without the version; a request may carry one (`/v1.43/…`).
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import findMyWay, { type HTTPMethod } from "find-my-way";
import { apiVersion, type ErrorBody, minimumApiVersion } from "../contract/docker.ts";
import { HullError, messageOf } from "../contract/errors.ts";
import type { Logger } from "../contract/logger.ts";
import { type ApiVersion, Exchange } from "./exchange.ts";

export type Handler = (exchange: Exchange) => void | Promise<void>;

export interface Route {
  readonly method: HTTPMethod;
  /** In find-my-way's words: `/containers/:id/start`. */
  readonly path: string;
  readonly handle: Handler;
}

interface ServerOptions {
  readonly routes: readonly Route[];
  /** Sent with every answer. */
  readonly headers: Readonly<Record<string, string>>;
  readonly log: Logger;
}

const headerLimit = 64 * 1024;
/** Clients keep a connection for this long between requests; longer than any of them, so that we never close first. */
const keepAliveTimeout = 600_000;

export function createApiServer(options: ServerOptions): Server {
  const router = findMyWay<findMyWay.HTTPVersion.V1>({ maxParamLength: 4096 });
  for (const route of options.routes) router.on(route.method, route.path, () => {}, { handle: route.handle });

  const serve = async (request: IncomingMessage, answer: Answer): Promise<void> => {
    const [pathname = "/", ...search] = (request.url ?? "/").split("?");
    const query = new URLSearchParams(search.join("?"));
    let exchange = new Exchange({
      request,
      answer,
      parameters: {},
      query,
      version: newest,
    });
    try {
      const { path, version } = splitVersion(pathname);
      const found = router.find(methodOf(request), path);
      if (found === null) throw new HullError("noSuchRoute", { value: `${request.method} ${pathname}` });
      exchange = new Exchange({
        request,
        answer,
        parameters: found.params,
        query,
        version,
      });
      await handlerOf(found.store)(exchange);
    } catch (error) {
      sendError(exchange, error, options.log);
    }
  };

  const server = createServer({ maxHeaderSize: headerLimit }, (request, response) => {
    for (const [name, value] of Object.entries(options.headers)) response.setHeader(name, value);
    void serve(request, response);
  });
  server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    // Without a listener an error of the connection would end the daemon; `close` follows it.
    socket.on("error", () => {});
    void serve(request, { socket, head });
  });
  server.keepAliveTimeout = keepAliveTimeout;
  server.requestTimeout = 0;
  server.timeout = 0;
  return server;
}

type Answer = ServerResponse | { readonly socket: Duplex; readonly head: Uint8Array };

function handlerOf(store: unknown): Handler {
  if (
    typeof store === "object" &&
    store !== null &&
    "handle" in store &&
    typeof store.handle === "function"
  ) {
    const { handle } = store;
    return (exchange) => handle(exchange);
  }
  throw new HullError("internal", { what: "a route has no handler" });
}

const methods: readonly HTTPMethod[] = ["GET", "HEAD", "POST", "PUT", "DELETE"];

function methodOf(request: IncomingMessage): HTTPMethod {
  return methods.find((method) => method === request.method) ?? "OPTIONS";
}

const newest = parseVersion(apiVersion);
const oldest = parseVersion(minimumApiVersion);

function parseVersion(text: string): ApiVersion {
  const [major = "0", minor = "0"] = text.split(".");
  return { major: Number(major), minor: Number(minor) };
}

function splitVersion(pathname: string): { path: string; version: ApiVersion } {
  const match = /^\/v(\d{1,4}\.\d{1,4})(\/.*)$/.exec(pathname);
  if (match === null) return { path: pathname, version: newest };
  const [, text = "", path = "/"] = match;
  const version = parseVersion(text);
  if (isBefore(version, oldest))
    throw new HullError("invalidParameter", {
      what: "API version",
      value: text,
      why: `the client is too old; the oldest version spoken here is ${minimumApiVersion}`,
    });
  if (isBefore(newest, version))
    throw new HullError("invalidParameter", {
      what: "API version",
      value: text,
      why: `client version ${text} is too new. Maximum supported API version is ${apiVersion}`,
    });
  return { path, version };
}

function isBefore(one: ApiVersion, other: ApiVersion): boolean {
  return one.major < other.major || (one.major === other.major && one.minor < other.minor);
}

function sendError(exchange: Exchange, error: unknown, log: Logger): void {
  const known = error instanceof HullError ? error : undefined;
  const status = known?.status ?? 500;
  if (status >= 500)
    log.error("a request failed", {
      // Without the query, which has a build's arguments and credentials of its repository.
      request: `${exchange.request.method} ${exchange.request.url?.split("?")[0]}`,
      why: messageOf(error),
      cause: known === undefined ? undefined : causesOf(known),
      stack: known === undefined && error instanceof Error ? error.stack : undefined,
    });
  if (exchange.begun) exchange.abandon();
  else if (status === 304) exchange.sendEmpty(304);
  else exchange.sendJson(status, bodyOf(error));
}

function bodyOf(error: unknown): ErrorBody {
  if (!(error instanceof HullError)) return { message: messageOf(error) };
  return { message: error.message, code: error.code, details: error.details };
}

/** The chain of causes, outermost first. */
function causesOf(error: Error): string | undefined {
  const causes: string[] = [];
  for (let cause = error.cause; cause !== undefined && causes.length < 5; ) {
    causes.push(messageOf(cause));
    cause = cause instanceof Error ? cause.cause : undefined;
  }
  return causes.length === 0 ? undefined : causes.join(" < ");
}
