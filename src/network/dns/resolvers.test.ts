import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createSocket, type Socket } from "node:dgram";
import { connect, createServer, type Server } from "node:net";
import { silentLogger } from "../../contract/logger.ts";
import { defaultNetworkRequest } from "../records/default-request.ts";
import type { EndpointRecord, NetworkRecord, WorkloadRecord } from "../records/types.ts";
import { answer, encodeName, fitsMessage, parseQuery, recordsOf, recordType } from "./message.ts";
import { Resolvers } from "./resolvers.ts";
import { withLength } from "./upstream.ts";

/** Loopback addresses stand for a network: the gateway is .1, workloads are .2 and up. */
const upstreamAddress = "127.0.9.53";

const network: NetworkRecord = {
  ...{
    id: "n1",
    name: "front",
    createdAt: 0,
    driver: "bridge",
    ipv6: false,
    internal: false,
    attachable: false,
  },
  ...{ labels: {}, options: {}, ipamOptions: {}, automatic: false, bridge: "none" },
  subnets: [{ subnet: "127.0.5.0/24", gateway: "127.0.5.1", auxiliary: {} }],
};

function workloadWith(name: string, endpoint: Partial<EndpointRecord>): WorkloadRecord {
  const id = Buffer.from(name.padEnd(32, ".")).toString("hex");
  return {
    ...{ id, name, wall: "container", hostname: name, exposed: [], bound: [], live: true },
    request: { ...defaultNetworkRequest, dns: [upstreamAddress] },
    endpoints: [
      {
        ...{ id: `e-${name}`, network: "n1", aliases: [], links: [], options: {}, gatewayPriority: 0 },
        ...{ interface: "eth0", hostLink: "none" },
        ...endpoint,
      },
    ],
  };
}

const workloads = new Map(
  [
    workloadWith("client", { address4: "127.0.5.2", links: ["web:db"] }),
    workloadWith("web", { address4: "127.0.5.3", address6: "fd00::3", aliases: ["svc"] }),
    workloadWith("other", { address4: "127.0.5.4", aliases: ["svc"] }),
  ].map((workload) => [workload.id, workload]),
);

let resolvers: Resolvers;
let upstream: Socket;
let upstreamTcp: Server;
let asked = 0;
/** Of the queries that the upstream resolver was sent. */
const ids: number[] = [];

beforeAll(async () => {
  resolvers = new Resolvers({
    directory: { workloads, networks: new Map([["n1", network]]) },
    log: silentLogger,
    mayAsk: (_, name) => name !== "forbidden.example" && name !== "",
    learn: (_, name) => Promise.resolve(name !== "unlearned.example"),
  });
  await resolvers.open(network);
  const reply = (message: Buffer, limit: number): Buffer => {
    asked += 1;
    const query = parseQuery(message);
    if (query === undefined) throw new Error("the resolver passed on no query");
    const texts =
      query.name === "large.example" ? Array.from({ length: 60 }, (_, index) => `part ${index}`) : ["passed"];
    const records = texts.map((text) => ({
      type: 16,
      data: Buffer.from(`${String.fromCharCode(text.length)}${text}`),
    }));
    return answer(message, query, records, { ttl: 60, limit });
  };
  upstream = createSocket("udp4");
  upstream.on("message", (message, { address, port }) => {
    const name = parseQuery(message)?.name ?? "";
    ids.push(message.readUInt16BE(0));
    if (name.startsWith("silent")) return;
    // As from somebody who knows what is asked, and has to guess the id; and from one who answers something else.
    if (name === "forged.example") {
      const forged = Buffer.from(
        reply(message, 512).toString("latin1").replace("passed", "forged"),
        "latin1",
      );
      const other = Buffer.from(forged.toString("latin1").replace("example", "invalid"), "latin1");
      forged.writeUInt16BE(0x1234, 0);
      for (const wrong of [forged, other]) upstream.send(wrong, port, address);
    }
    upstream.send(reply(message, 512), port, address);
  });
  upstreamTcp = createServer((socket) => {
    socket.on("data", (bytes: Buffer) => {
      if (parseQuery(bytes.subarray(2))?.name.startsWith("silent") === true) return;
      socket.write(withLength(reply(bytes.subarray(2), 65_535)));
    });
    socket.on("error", () => socket.destroy());
  });
  await new Promise<void>((resolve) => upstream.bind(53, upstreamAddress, resolve));
  await new Promise<void>((resolve) => upstreamTcp.listen(53, upstreamAddress, resolve));
});
afterAll(() => {
  resolvers.closeAll();
  upstream.close();
  upstreamTcp.close();
});

function queryFor(name: string, type: number): Buffer {
  return Buffer.concat([
    Buffer.from([0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
    encodeName(name),
    Buffer.from([0, type, 0, 1]),
  ]);
}

function overUdp(message: Buffer, from = "127.0.5.2", patience = 5000): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket("udp4");
    const settle = (reply: Buffer | undefined): void => {
      clearTimeout(timer);
      socket.close();
      resolve(reply);
    };
    const timer = setTimeout(() => settle(undefined), patience);
    socket.on("message", settle);
    socket.bind(0, from, () => socket.send(message, 53, "127.0.5.1"));
  });
}

function overTcp(message: Buffer, from = "127.0.5.2"): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.5.1", port: 53, localAddress: from }, () => {
      // In two pieces, as a network may have it.
      const whole = withLength(message);
      socket.write(whole.subarray(0, 1));
      socket.write(whole.subarray(1));
    });
    let received = Buffer.alloc(0);
    socket.on("data", (bytes: Buffer) => {
      received = Buffer.concat([received, bytes]);
      if (received.length < 2 || received.length < received.readUInt16BE(0) + 2) return;
      socket.destroy();
      resolve(received.subarray(2));
    });
    socket.on("error", reject);
    socket.on("close", () => reject(new Error("the connection was ended")));
  });
}

async function dataOf(name: string, type: number = recordType.a): Promise<string[]> {
  const reply = await overUdp(queryFor(name, type));
  return (recordsOf(reply ?? Buffer.alloc(0)) ?? []).map(({ data }) =>
    type === recordType.a ? data.join(".") : data.toString("hex"),
  );
}

function codeOf(reply: Buffer | undefined): number | undefined {
  return reply === undefined ? undefined : (reply[3] ?? 0) & 0xf;
}

describe("a network's resolver", () => {
  test("knows names, aliases, links, short ids and names with the network's", async () => {
    expect(await dataOf("web")).toEqual(["127.0.5.3"]);
    expect(await dataOf("WEB.front")).toEqual(["127.0.5.3"]);
    expect(await dataOf("db")).toEqual(["127.0.5.3"]);
    expect(await dataOf(Buffer.from("web".padEnd(32, ".")).toString("hex").slice(0, 12))).toEqual([
      "127.0.5.3",
    ]);
    expect(await dataOf("host.docker.internal")).toEqual(["127.0.5.1"]);
    expect(await dataOf("web", recordType.aaaa)).toEqual(["fd000000000000000000000000000003"]);
    // It has no IPv6 address, which is no reason to ask others.
    expect(await dataOf("other", recordType.aaaa)).toEqual([]);
  });

  test("gives the addresses of a service in turn", async () => {
    const first = [await dataOf("svc"), await dataOf("svc")].map(([address]) => address);
    expect(new Set(first)).toEqual(new Set(["127.0.5.3", "127.0.5.4"]));
  });

  test("knows whose an address is", async () => {
    const reply = await overUdp(queryFor("3.5.0.127.in-addr.arpa", recordType.ptr));
    expect(recordsOf(reply ?? Buffer.alloc(0))?.[0]?.data).toEqual(encodeName("web.front"));
    expect(fitsMessage(`${"a".repeat(63)}.front`)).toBe(true);
    for (const name of [`${"a".repeat(64)}.front`, "a..b", `${"a.".repeat(127)}ab`])
      expect(fitsMessage(name)).toBe(false);
  });

  test("passes other questions and their answers on as they are, and asks once", async () => {
    const before = asked;
    const reply = await overUdp(queryFor("text.example", 16));
    expect(recordsOf(reply ?? Buffer.alloc(0))?.[0]?.data.toString()).toBe("\u0006passed");
    await overUdp(queryFor("text.example", 16));
    expect(asked - before).toBe(1);
  });

  test("asks with an id of its own, and takes an answer to nothing but its question", async () => {
    ids.length = 0;
    for (const name of ["one.example", "two.example", "three.example"]) {
      const reply = await overUdp(queryFor(name, 16));
      expect(reply?.readUInt16BE(0)).toBe(0x1234);
    }
    expect(ids.every((id) => id === 0x1234)).toBe(false);
    const reply = await overUdp(queryFor("forged.example", 16));
    expect(recordsOf(reply ?? Buffer.alloc(0))?.[0]?.data.toString()).toBe("\u0006passed");
  });

  test("passes on that an answer is too long for UDP, and the whole by TCP", async () => {
    const short = await overUdp(queryFor("large.example", 16));
    expect((short?.[2] ?? 0) & 2).toBe(2);
    expect(recordsOf(await overTcp(queryFor("large.example", 16)))).toHaveLength(60);
    expect(recordsOf(await overTcp(queryFor("web", recordType.a)))).toHaveLength(1);
  });

  test("refuses names that the workload may not ask about", async () => {
    expect(codeOf(await overUdp(queryFor("forbidden.example", recordType.a)))).toBe(5);
    // A label with a dot in it reads as a name that it is not.
    const dotted = queryFor("large.example", 16);
    dotted[12] = "large.example".length;
    dotted[12 + 1 + "large".length] = ".".charCodeAt(0);
    expect(codeOf(await overUdp(dotted))).toBe(5);
  });

  test("gives no answer that the workload is not to learn from", async () => {
    expect(codeOf(await overUdp(queryFor("unlearned.example", 16)))).toBe(2);
  });

  test("answers nobody but the network's workloads, and no rubbish", async () => {
    expect(await overUdp(queryFor("web", recordType.a), "127.0.5.99", 300)).toBeUndefined();
    expect(await overUdp(queryFor("web", recordType.a), "127.0.0.1", 300)).toBeUndefined();
    expect(await overUdp(Buffer.from("rubbish"), "127.0.5.2", 300)).toBeUndefined();
    expect(await dataOf("web")).toEqual(["127.0.5.3"]);
  });

  test("takes another port where a program of the host has 53", async () => {
    const taken = createSocket("udp4");
    await new Promise<void>((resolve) => taken.bind(53, "127.0.6.1", resolve));
    const other = {
      ...network,
      id: "n2",
      subnets: [{ subnet: "127.0.6.0/24", gateway: "127.0.6.1", auxiliary: {} }],
    };
    await resolvers.open(other);
    expect(resolvers.portOf("n2")).toBeGreaterThan(1023);
    expect(resolvers.portOf("n1")).toBeUndefined();
    resolvers.close("n2");
    taken.close();
  });

  test("has connections left for the others when one workload opens as many as it can", async () => {
    const question = queryFor("web", recordType.a);
    const idle = Array.from({ length: 300 }, () => {
      const socket = connect({ host: "127.0.5.1", port: 53, localAddress: "127.0.5.2" });
      return socket.on("error", () => {});
    });
    // Once these are ended, all before them have been taken or ended.
    await Promise.all(idle.slice(16).map((socket) => new Promise((resolve) => socket.on("close", resolve))));
    expect(recordsOf(await overTcp(question, "127.0.5.3"))).toHaveLength(1);
    await expect(overTcp(question)).rejects.toThrow();
    for (const socket of idle) socket.destroy();
    // The resolver hears of it a little later.
    while ((await overTcp(question).catch(() => undefined)) === undefined) await Bun.sleep(5);
  });

  test("lets nobody fill the daemon's memory with answers that are not read, nor hold up the others", async () => {
    const silent = queryFor("silent.example", 16);
    const flood = connect({ host: "127.0.5.1", port: 53, localAddress: "127.0.5.2" });
    flood.on("error", () => {});
    const ended = new Promise<void>((resolve) => flood.on("close", () => resolve()));
    flood.write(Buffer.concat(Array.from({ length: 200 }, () => withLength(silent))));
    await ended;
    expect(await dataOf("web")).toEqual(["127.0.5.3"]);
    // What was asked is waited for still, as many as one asker may have; a neighbour's question is passed on.
    expect(codeOf(await overUdp(queryFor("text3.example", 16)))).toBe(2);
    const neighbour = await overUdp(queryFor("text2.example", 16), "127.0.5.3");
    expect(recordsOf(neighbour ?? Buffer.alloc(0))?.[0]?.data.toString()).toBe("\u0006passed");
  });
});
