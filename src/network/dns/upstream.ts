/**
 * Queries that others have to answer: passed on as they came but for their id, by UDP or TCP as the client chose. The
 * id is one of our own: a workload that chose it could have somebody answer in the resolver's name.
 */
import { randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import { readFileSync, statSync } from "node:fs";
import { connect, isIP } from "node:net";
import { headerBytes, responseCode } from "./message.ts";

const resolvConf = "/etc/resolv.conf";
const attemptTimeout = 2000;
const rounds = 2;
const mostAtOnce = 512;
/** Of one asker, so that none of them leaves the others without answers. */
const mostOfOne = 64;
const largestTcpMessage = 65_535;

export class Upstream {
  #servers: readonly string[] = [];
  #readAt = 0;
  #modified = -1;
  #active = 0;
  readonly #activeOf = new Map<string, number>();

  /** The host's own resolvers, as /etc/resolv.conf has them now. */
  hostServers(now: number): readonly string[] {
    if (now - this.#readAt < 1000) return this.#servers;
    this.#readAt = now;
    const modified = statSync(resolvConf, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    if (modified !== this.#modified)
      this.#servers = serversOf(modified === 0 ? "" : readFileSync(resolvConf, "utf8"));
    this.#modified = modified;
    return this.#servers;
  }

  /** Undefined when nobody answers, or too many are waited for. `questionEnd`: where the question of `message` ends. */
  async ask(
    message: Buffer,
    questionEnd: number,
    servers: readonly string[],
    transport: "udp" | "tcp",
    asker: string,
  ): Promise<Buffer | undefined> {
    const own = this.#activeOf.get(asker) ?? 0;
    if (this.#active >= mostAtOnce || own >= mostOfOne) return undefined;
    this.#active += 1;
    this.#activeOf.set(asker, own + 1);
    try {
      for (let round = 0; round < rounds; round += 1)
        for (const server of servers) {
          const query = queryOf(message, questionEnd);
          const reply = await (transport === "udp" ? byUdp : byTcp)(query, server);
          if (reply === undefined) continue;
          reply.writeUInt16BE(message.readUInt16BE(0), 0);
          return reply;
        }
      return undefined;
    } finally {
      this.#active -= 1;
      const left = (this.#activeOf.get(asker) ?? 1) - 1;
      if (left === 0) this.#activeOf.delete(asker);
      else this.#activeOf.set(asker, left);
    }
  }
}

function serversOf(text: string): string[] {
  return text
    .split("\n")
    .map((line) => /^\s*nameserver\s+(\S+)/.exec(line)?.[1] ?? "")
    .filter((server) => isIP(server.replace(/%.*$/, "")) !== 0);
}

/** A socket for each query: its random port, beside the id, is what a forged answer would have to guess. */
function byUdp(query: OwnQuery, server: string): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket(server.includes(":") ? "udp6" : "udp4");
    const settle = (reply: Buffer | undefined): void => {
      clearTimeout(timer);
      socket.removeAllListeners();
      socket.on("error", () => {});
      socket.close();
      resolve(reply);
    };
    const timer = setTimeout(() => settle(undefined), attemptTimeout);
    socket.on("error", () => settle(undefined));
    socket.on("message", (reply) => {
      if (isReplyTo(reply, query)) settle(reply);
    });
    // A connected socket hears of a port that nobody listens on, and of nobody else.
    socket.connect(53, server, () => socket.send(query.message));
  });
}

function byTcp(query: OwnQuery, server: string): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host: server, port: 53 });
    let received = Buffer.alloc(0);
    const settle = (reply: Buffer | undefined): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(reply);
    };
    const timer = setTimeout(() => settle(undefined), attemptTimeout);
    socket.on("error", () => settle(undefined));
    socket.on("close", () => settle(undefined));
    socket.on("connect", () => socket.write(withLength(query.message)));
    socket.on("data", (bytes: Buffer) => {
      received = Buffer.concat([received, bytes]);
      if (received.length > largestTcpMessage + 2) return settle(undefined);
      const length = received.length < 2 ? undefined : received.readUInt16BE(0);
      if (length === undefined || received.length < length + 2) return;
      const reply = received.subarray(2, length + 2);
      settle(isReplyTo(reply, query) ? reply : undefined);
    });
  });
}

interface OwnQuery {
  readonly message: Buffer;
  /** In lower case: some resolvers do not keep the case of letters. */
  readonly question: string;
}

function queryOf(message: Buffer, questionEnd: number): OwnQuery {
  const own = Buffer.from(message);
  own.writeUInt16BE(randomInt(0x1_0000), 0);
  return { message: own, question: message.toString("latin1", headerBytes, questionEnd).toLowerCase() };
}

/** The same id and the same question, and marked as an answer. A resolver that fails may leave the question out. */
function isReplyTo(reply: Buffer, { message, question }: OwnQuery): boolean {
  if (reply.length < headerBytes || reply.readUInt16BE(0) !== message.readUInt16BE(0)) return false;
  const flags = reply.readUInt16BE(2);
  if ((flags & 0x8000) === 0) return false;
  const code = flags & 0xf;
  const failed = code !== responseCode.ok && code !== responseCode.noSuchName;
  if (failed && reply.readUInt16BE(4) === 0) return true;
  const asked = reply.toString("latin1", headerBytes, headerBytes + question.length).toLowerCase();
  return reply.readUInt16BE(4) === 1 && asked === question;
}

export function withLength(message: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
}
