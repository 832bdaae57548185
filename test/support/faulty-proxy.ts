/**
 * A proxy in front of a real registry that behaves badly where the test says so. One request to a connection, so
 * that what happens to it happens to nothing else.
 */
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

export interface ProxiedRequest {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface Fault {
  /** Answers this by itself: a status line and headers. The registry is not asked. */
  readonly answer?: readonly string[];
  /** Breaks the connection after so many bytes of the request's body. */
  readonly breakRequestAfter?: number;
  /** Breaks the connection after so many bytes of the answer's body. */
  readonly breakAnswerAfter?: number;
  /** Awaited before that break: what the client did not read when a connection breaks is lost to it. */
  readonly breakWhen?: Promise<void>;
  /** Says that the answer's body has so many bytes. */
  readonly claimedLength?: number;
  /** Turns the bits of this byte of the answer's body. */
  readonly wrongByte?: number;
  /** Stands still after so many bytes of the answer's body, but for a byte every few milliseconds. */
  readonly trickleAfter?: number;
  /** Removes a header of the request: a registry that knows nothing of `range`. */
  readonly without?: string;
}

export interface FaultyProxy extends AsyncDisposable {
  readonly host: string;
  readonly requests: readonly ProxiedRequest[];
}

const trickleInterval = 5;

/** `upstream` is `127.0.0.1:PORT`. */
export async function faultyProxy(
  upstream: string,
  faultOf: (request: ProxiedRequest) => Fault | undefined,
): Promise<FaultyProxy> {
  const requests: ProxiedRequest[] = [];
  const open = new Set<Socket>();
  const keep = (socket: Socket): Socket => {
    open.add(socket);
    socket.on("close", () => open.delete(socket));
    // Connections that break are what this is for.
    socket.on("error", () => socket.destroy());
    return socket;
  };
  const server = createServer((client) => {
    keep(client);
    readHead(client, (head, rest) => {
      const request = parseRequest(head);
      requests.push(request);
      const fault = faultOf(request) ?? {};
      if (fault.answer !== undefined) {
        client.end(
          `HTTP/1.1 ${[...fault.answer, "Content-Length: 0", "Connection: close"].join("\r\n")}\r\n\r\n`,
        );
        return;
      }
      const port = Number(upstream.split(":")[1]);
      const registry = keep(connect(port, "127.0.0.1"));
      registry.write(
        `${withoutHeaders(head, ["connection", fault.without ?? ""])}\r\nConnection: close\r\n\r\n`,
      );
      forwardRequest(client, registry, rest, fault.breakRequestAfter);
      readHead(registry, (answer, body) => forwardAnswer(client, registry, answer, body, fault));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("it listens on a port");
  return {
    host: `127.0.0.1:${address.port}`,
    requests,
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

function readHead(socket: Socket, then: (head: string, rest: Buffer) => void): void {
  let read = Buffer.alloc(0);
  const listen = (data: Buffer): void => {
    read = Buffer.concat([read, data]);
    const end = read.indexOf("\r\n\r\n");
    if (end < 0) return;
    socket.off("data", listen);
    socket.pause();
    then(read.subarray(0, end).toString("latin1"), read.subarray(end + 4));
  };
  socket.on("data", listen);
}

function parseRequest(head: string): ProxiedRequest {
  const [first = "", ...lines] = head.split("\r\n");
  const [method = "", path = ""] = first.split(" ");
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const colon = line.indexOf(":");
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
  }
  return { method, path, headers };
}

function withoutHeaders(head: string, names: readonly string[]): string {
  const named = (line: string): boolean => names.includes(line.split(":")[0]?.toLowerCase() ?? "");
  return head
    .split("\r\n")
    .filter((line, index) => index === 0 || !named(line))
    .join("\r\n");
}

function forwardRequest(
  client: Socket,
  registry: Socket,
  rest: Buffer,
  limit = Number.POSITIVE_INFINITY,
): void {
  let sent = 0;
  const forward = (data: Buffer): void => {
    const part = data.subarray(0, Math.max(0, limit - sent));
    sent += part.length;
    registry.write(part, () => {
      if (sent < limit) return;
      client.destroy();
      registry.destroy();
    });
  };
  if (rest.length > 0) forward(rest);
  client.on("data", forward);
  client.on("close", () => registry.destroy());
  client.resume();
}

function forwardAnswer(client: Socket, registry: Socket, head: string, body: Buffer, fault: Fault): void {
  const { claimedLength, breakAnswerAfter = Number.POSITIVE_INFINITY, wrongByte, trickleAfter } = fault;
  const dropped = ["connection", ...(claimedLength === undefined ? [] : ["content-length"])];
  const claim = claimedLength === undefined ? "" : `\r\nContent-Length: ${claimedLength}`;
  client.write(`${withoutHeaders(head, dropped)}${claim}\r\nConnection: close\r\n\r\n`);
  let sent = 0;
  const forward = (data: Buffer): void => {
    const bytes = Buffer.from(data);
    if (wrongByte !== undefined && wrongByte >= sent && wrongByte < sent + bytes.length)
      bytes[wrongByte - sent] = ~(bytes[wrongByte - sent] ?? 0) & 0xff;
    const end = Math.min(breakAnswerAfter, trickleAfter ?? Number.POSITIVE_INFINITY) - sent;
    client.write(bytes.subarray(0, Math.max(0, end)));
    sent += bytes.length;
    if (sent > breakAnswerAfter) void Promise.resolve(fault.breakWhen).then(() => client.destroySoon());
    else if (end < bytes.length && end >= 0) trickle(client, bytes.subarray(end));
  };
  if (body.length > 0) forward(body);
  registry.on("data", forward);
  registry.on("end", () => {
    if (trickleAfter === undefined && sent <= breakAnswerAfter) client.end();
  });
  registry.resume();
}

function trickle(client: Socket, bytes: Buffer): void {
  let at = 0;
  const timer = setInterval(() => {
    if (client.destroyed || at >= bytes.length) clearInterval(timer);
    else client.write(bytes.subarray(at, ++at));
  }, trickleInterval);
}
