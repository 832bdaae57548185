/**
 * The resolvers of networks: one on each gateway address, by UDP and TCP. They know the workloads' names and pass
 * everything else on to the resolvers of the host, or to those that the workload was given.
 *
 * Only workloads of the network are answered. A port 53 that another program of the host has is no obstacle: the
 * resolver then takes another, and the packet filter leads queries there.
 */
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { createServer, type Server } from "node:net";
import { messageOf } from "../../contract/errors.ts";
import type { Logger } from "../../contract/logger.ts";
import { errnoNameOf } from "../../host/system-error.ts";
import { bytesOf, formatAddress, parseAddress } from "../addresses/address.ts";
import type { NetworkRecord, WorkloadRecord } from "../records/types.ts";
import { AnswerCache } from "./cache.ts";
import {
  answer,
  encodeName,
  fitsMessage,
  isAsItReads,
  parseQuery,
  type Query,
  type Record,
  recordType,
  responseCode,
  reverseAddress,
} from "./message.ts";
import { type Directory, lookUp, reverseLookUp, workloadAt } from "./names.ts";
import { Upstream, withLength } from "./upstream.ts";

/** Seconds that an answer about a workload may be kept: addresses change with the next start. */
const ttl = 5;
const mostConnections = 256;
/** Of one workload, so that none of them leaves its neighbours without. */
const mostConnectionsOfOne = 16;
const connectionTimeout = 10_000;
/** Bytes of answers that a client may leave unread before its connection is ended. */
const mostUnread = 1024 * 1024;
/** Queries of one connection that are waited for at once. */
const mostPipelined = 64;

interface Listening {
  readonly sockets: UdpSocket[];
  readonly servers: Server[];
  port: number;
}

interface Asker {
  readonly network: string;
  readonly address: string;
  readonly transport: "udp" | "tcp";
}

export interface ResolverOptions {
  readonly directory: Directory;
  readonly log: Logger;
  /** Whether a workload may ask about a name of the world's. */
  readonly mayAsk: (workload: WorkloadRecord, name: string) => boolean;
  /**
   * Told of an answer about a name of the world's before the workload gets it; false: it is not to have it.
   */
  readonly learn: (workload: WorkloadRecord, name: string, answer: Buffer) => Promise<boolean>;
}

export class Resolvers {
  readonly #options: ResolverOptions;
  readonly #listening = new Map<string, Listening>();
  readonly #cache = new AnswerCache();
  readonly #upstream = new Upstream();
  #turn = 0;

  constructor(options: ResolverOptions) {
    this.#options = options;
  }

  /** The port, when it is not 53. */
  portOf(network: string): number | undefined {
    const port = this.#listening.get(network)?.port;
    return port === 53 ? undefined : port;
  }

  isOpen(network: string): boolean {
    return this.#listening.has(network);
  }

  async open(network: NetworkRecord): Promise<void> {
    if (this.#listening.has(network.id)) return;
    const gateways = network.subnets.map(({ gateway }) => gateway);
    const listening: Listening = { sockets: [], servers: [], port: 53 };
    this.#listening.set(network.id, listening);
    for (const port of [53, 0, 0, 0]) {
      try {
        listening.port = port;
        for (const gateway of gateways) await this.#listen(network.id, gateway, listening);
        return;
      } catch (error) {
        closeAll(listening);
        const taken = ["EADDRINUSE", "EACCES"].includes(errnoNameOf(error) ?? "");
        if (taken) continue;
        this.#listening.delete(network.id);
        throw error;
      }
    }
    this.#listening.delete(network.id);
    this.#options.log.warn("no port is free for the resolver of a network: names are not resolved on it", {
      network: network.name,
    });
  }

  close(network: string): void {
    const listening = this.#listening.get(network);
    this.#listening.delete(network);
    if (listening !== undefined) closeAll(listening);
  }

  closeAll(): void {
    for (const network of [...this.#listening.keys()]) this.close(network);
  }

  async #listen(network: string, gateway: string, listening: Listening): Promise<void> {
    const socket = createSocket(gateway.includes(":") ? "udp6" : "udp4");
    listening.sockets.push(socket);
    socket.on("message", (message, { address, port }) => {
      void this.#reply(message, { network, address, transport: "udp" }).then((reply) => {
        if (reply === undefined) return;
        // The workload, or the resolver, may be gone by now.
        try {
          socket.send(reply, port, address, () => {});
        } catch {}
      });
    });
    await new Promise<void>((resolve, reject) => {
      socket.once("error", reject);
      socket.bind({ port: listening.port, address: gateway, exclusive: true }, () => {
        socket.off("error", reject);
        socket.on("error", () => {});
        resolve();
      });
    });
    listening.port = socket.address().port;
    await this.#listenTcp(network, gateway, listening);
  }

  async #listenTcp(network: string, gateway: string, listening: Listening): Promise<void> {
    const open = new Map<string, number>();
    const server = createServer((connection) => {
      const address = connection.remoteAddress ?? "";
      const others = open.get(address) ?? 0;
      if (others >= mostConnectionsOfOne) return connection.destroy();
      open.set(address, others + 1);
      connection.on("close", () => {
        const left = (open.get(address) ?? 1) - 1;
        if (left === 0) open.delete(address);
        else open.set(address, left);
      });
      let received = Buffer.alloc(0);
      let waiting = 0;
      connection.setTimeout(connectionTimeout, () => connection.destroy());
      connection.on("error", () => connection.destroy());
      connection.on("data", (bytes: Buffer) => {
        received = Buffer.concat([received, bytes]);
        while (received.length >= 2 && received.length >= received.readUInt16BE(0) + 2) {
          const end = received.readUInt16BE(0) + 2;
          const message = Buffer.from(received.subarray(2, end));
          received = received.subarray(end);
          waiting += 1;
          if (waiting > mostPipelined || connection.writableLength > mostUnread) return connection.destroy();
          void this.#reply(message, { network, address, transport: "tcp" }).then((reply) => {
            waiting -= 1;
            if (reply === undefined) connection.destroy();
            else if (!connection.destroyed) connection.write(withLength(reply));
          });
        }
      });
    });
    server.maxConnections = mostConnections;
    listening.servers.push(server);
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ port: listening.port, host: gateway }, () => {
        server.off("error", reject);
        server.on("error", () => {});
        resolve();
      });
    });
  }

  /** Undefined: no answer at all. */
  async #reply(message: Buffer, asker: Asker): Promise<Buffer | undefined> {
    try {
      const { directory } = this.#options;
      const at = workloadAt(directory, asker.network, normalized(asker.address));
      const network = directory.networks.get(asker.network);
      const query = parseQuery(message);
      if (at === undefined || network === undefined || query === undefined) return undefined;
      return (
        this.#own(message, query, at.workload, network, asker) ??
        (await this.#foreign(message, query, at.workload, asker))
      );
    } catch (error) {
      this.#options.log.debug("a query was not answered", { why: messageOf(error) });
      return undefined;
    }
  }

  #own(
    message: Buffer,
    query: Query,
    workload: WorkloadRecord,
    network: NetworkRecord,
    { transport }: Asker,
  ): Buffer | undefined {
    const { directory } = this.#options;
    const limit = transport === "udp" ? query.udpBytes : 65_535;
    const reverse = query.type === recordType.ptr ? reverseAddress(query.name) : undefined;
    if (reverse !== undefined) {
      const name = reverseLookUp(directory, workload, normalized(reverse));
      if (name === undefined || !fitsMessage(name)) return undefined;
      return answer(message, query, [{ type: recordType.ptr, data: encodeName(name) }], { ttl, limit });
    }
    const addresses = lookUp(directory, workload, network, query.name);
    if (addresses === undefined) return undefined;
    // Every answer begins with another address, so that a service's workloads share the work.
    this.#turn += 1;
    const at = addresses.length === 0 ? 0 : this.#turn % addresses.length;
    const turned = [...addresses.slice(at), ...addresses.slice(0, at)];
    return answer(
      message,
      query,
      turned.flatMap((text) => recordFor(text, query.type)),
      { ttl, limit },
    );
  }

  async #foreign(
    message: Buffer,
    query: Query,
    workload: WorkloadRecord,
    { transport }: Asker,
  ): Promise<Buffer> {
    const refuse = (code: number): Buffer => answer(message, query, [], { code, ttl, limit: 65_535 });
    // A name that is not what it reads as is nobody's: a label may have a dot in it.
    const name = isAsItReads(message, query) ? query.name : "";
    if (!this.#options.mayAsk(workload, name)) return refuse(responseCode.refused);
    const { dns } = workload.request;
    const servers = dns.length > 0 ? dns : this.#upstream.hostServers(Date.now());
    if (servers.length === 0) return refuse(responseCode.noSuchName);
    const key = `${servers.join(" ")} ${transport} ${message.toString("latin1", 2)}`;
    const kept = this.#cache.get(key, query.id, Date.now());
    const reply =
      kept ?? (await this.#upstream.ask(message, query.questionEnd, servers, transport, workload.id));
    if (reply === undefined) return refuse(responseCode.serverFailure);
    if (kept === undefined) this.#cache.put(key, reply, Date.now());
    return (await this.#options.learn(workload, name, reply)) ? reply : refuse(responseCode.serverFailure);
  }
}

function recordFor(text: string, type: number): Record[] {
  const address = parseAddress(text);
  if (address === undefined) return [];
  const own = address.family === 4 ? recordType.a : recordType.aaaa;
  return type === own || type === recordType.any ? [{ type: own, data: bytesOf(address) }] : [];
}

/** As the records have it. */
function normalized(text: string): string {
  const address = parseAddress(text);
  return address === undefined ? text : formatAddress(address);
}

function closeAll({ sockets, servers }: Listening): void {
  for (const socket of sockets.splice(0)) {
    socket.removeAllListeners();
    socket.on("error", () => {});
    socket.close();
  }
  for (const server of servers.splice(0)) server.close();
}
