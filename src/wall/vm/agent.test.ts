/** The daemon's side of the protocol against an agent of the test's own, which may be hostile. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { OutputChunk } from "../wall.ts";
import { AgentConnection, AgentLost, AgentRefusal } from "./agent.ts";
import { FieldWriter } from "./fields.ts";
import { encodeFrame, type Frame, FrameReader } from "./frames.ts";
import { channels, frames, limits, protocolVersion, results, verbs } from "./protocol.ts";

let directory = "";
let server: Server | undefined;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "agent-"));
});
afterEach(() => {
  server?.close();
  rmSync(directory, { recursive: true });
});

class FakeAgent {
  readonly received: Frame[] = [];
  readonly #socket: Socket;
  #wake: (() => void) | undefined;

  constructor(socket: Socket, before: Uint8Array) {
    this.#socket = socket;
    const reader = new FrameReader((found) => found.type === frames.hello);
    socket.on("error", () => undefined);
    socket.on("data", (data: Buffer) => {
      for (const found of reader.push(data)) {
        if (found.type === frames.hello) {
          const welcome = new FieldWriter()
            .u32(protocolVersion)
            .bytes(found.payload.subarray(4))
            .u8(1)
            .u32(1)
            .u64(0);
          socket.write(Buffer.concat([before, encodeFrame(frames.welcome, 0, welcome.take())]));
        } else this.received.push({ ...found, payload: Buffer.from(found.payload) });
      }
      this.#wake?.();
    });
  }

  send(type: number, id: number, payload: FieldWriter): void {
    this.#socket.write(encodeFrame(type, id, payload.take()));
  }

  write(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  output(offset: number, text: string | Uint8Array, channel: number = channels.stdout): void {
    this.send(frames.output, 0, new FieldWriter().u8(channel).u64(offset).bytes(Buffer.from(text)));
  }

  outputEnd(offset: number, channel: number): void {
    this.send(frames.outputEnd, 0, new FieldWriter().u8(channel).u64(offset));
  }

  exit(code: number): void {
    this.send(frames.exit, 0, new FieldWriter().u8(code).u8(0).u64(1000));
  }

  /** Takes nothing more from the daemon. */
  stopReading(): void {
    this.#socket.pause();
  }

  async until(wanted: (found: Frame) => boolean): Promise<Frame> {
    for (;;) {
      const found = this.received.find(wanted);
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

/** A connection to a fake agent, which sends `before` ahead of its welcome. */
async function connected(
  before: Uint8Array = new Uint8Array(),
): Promise<{ readonly connection: AgentConnection; readonly agent: FakeAgent }> {
  const path = join(directory, "socket");
  const { promise, resolve } = Promise.withResolvers<FakeAgent>();
  server = createServer((socket) => resolve(new FakeAgent(socket, before)));
  await new Promise<void>((listening) => server?.listen(path, listening));
  const connection = await AgentConnection.open(path, { timeout: 5000 });
  return { connection, agent: await promise };
}

const offsetOf = (found: Frame): number => Number(found.payload.readBigUInt64LE(1));
const noSink = () => Promise.resolve();

test("the rest of an old connection is skipped, a stale welcome included", async () => {
  const stale = new FieldWriter().u32(protocolVersion).bytes(Buffer.alloc(16, 1)).u8(3).u32(9).u64(7).take();
  const torn = encodeFrame(frames.output, 0, Buffer.alloc(5000, 3)).subarray(0, 999);
  const before = Buffer.concat([Buffer.alloc(50, 200), encodeFrame(frames.welcome, 0, stale), torn]);
  const { connection } = await connected(before);
  expect(connection.welcome).toEqual({ phase: 1, nextHandle: 1, inputOffset: 0 });
  connection.close();
});

test("a long request arrives in parts, its answer is put together", async () => {
  const { connection, agent } = await connected();
  const answer = connection.request(verbs.start, new FieldWriter().bytes(Buffer.alloc(40_000, 1)));
  const last = await agent.until((found) => found.type === frames.request);
  const parts = agent.received.filter((found) => found.type === frames.requestPart);
  expect(parts.length).toBe(2);
  agent.send(frames.responsePart, last.id, new FieldWriter().u8(results.ok));
  agent.send(frames.responsePart, last.id, new FieldWriter().string(""));
  agent.send(frames.response, last.id, new FieldWriter().u32(77));
  expect((await answer).u32()).toBe(77);
  connection.close();
});

test("a refusal carries its result and words", async () => {
  const { connection, agent } = await connected();
  const answer = connection.request(verbs.signal, new FieldWriter());
  const { id } = await agent.until((found) => found.type === frames.request);
  agent.send(frames.response, id, new FieldWriter().u8(results.noSuchProcess).string("it has ended"));
  const error = await answer.catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(AgentRefusal);
  expect(error).toMatchObject({ result: results.noSuchProcess, message: "it has ended" });
  connection.close();
});

test("an agent that does not answer is lost, and everybody waiting hears of it", async () => {
  const { connection } = await connected();
  const process = connection.addMain(noSink);
  await expect(connection.request(verbs.setClock, new FieldWriter(), 20)).rejects.toThrow("did not answer");
  await expect(process.exit).rejects.toBeInstanceOf(AgentLost);
  expect((await connection.closed).fault).toBe(true);
  await expect(connection.request(verbs.setClock, new FieldWriter())).rejects.toBeInstanceOf(AgentLost);
});

test("output is acknowledged when the sink has taken it, not before", async () => {
  const { connection, agent } = await connected();
  const taken: OutputChunk[] = [];
  const gate = Promise.withResolvers<void>();
  const process = connection.addMain(async (chunks) => {
    taken.push(...chunks);
    await gate.promise;
  });
  agent.output(0, "hello");
  agent.output(0, "oops", channels.stderr);
  while (taken.length === 0) await Bun.sleep(1);
  expect(agent.received).toEqual([]);
  gate.resolve();
  expect(offsetOf(await agent.until((found) => found.payload[0] === channels.stdout))).toBe(5);
  expect(offsetOf(await agent.until((found) => found.payload[0] === channels.stderr))).toBe(4);
  agent.outputEnd(5, channels.stdout);
  agent.outputEnd(4, channels.stderr);
  agent.exit(3);
  expect(await process.exit).toEqual({ code: 3, oomKilled: false, finishedAt: 1000 });
  expect(taken.map(({ stream, data }) => [stream, Buffer.from(data).toString()])).toEqual([
    ["stdout", "hello"],
    ["stderr", "oops"],
  ]);
  connection.close();
});

test("input waits for credit and goes in pieces with offsets", async () => {
  const { connection, agent } = await connected();
  const process = connection.addMain(noSink);
  const written = process.write(Buffer.alloc(70_000, 5));
  agent.send(frames.inputCredit, 0, new FieldWriter().u64(30_000));
  await agent.until(
    (found) => Number(found.payload.readBigUInt64LE(0)) + found.payload.length - 8 === 30_000,
  );
  agent.send(frames.inputCredit, 0, new FieldWriter().u64(95_000));
  await written;
  await process.endInput();
  const end = await agent.until((found) => found.type === frames.inputEnd);
  expect(Number(end.payload.readBigUInt64LE(0))).toBe(70_000);
  let offset = 0;
  for (const { type, payload } of agent.received) {
    if (type !== frames.input) continue;
    expect(Number(payload.readBigUInt64LE(0))).toBe(offset);
    offset += payload.length - 8;
  }
  expect(offset).toBe(70_000);
  connection.close();
});

const window = Buffer.alloc(16_000, 1);
const hostile: Readonly<Record<string, (agent: FakeAgent) => void>> = {
  "more output than the window": (agent) => {
    for (let offset = 0; offset <= limits.mainWindow; offset += window.length) agent.output(offset, window);
  },
  "output with a gap": (agent) => agent.output(5, "x"),
  "empty output": (agent) => agent.output(0, ""),
  "output of an unknown channel": (agent) => agent.output(0, "x", 9),
  "output after its end": (agent) => {
    agent.outputEnd(0, channels.stdout);
    agent.output(0, "x");
  },
  "output of an unknown process": (agent) =>
    agent.send(frames.output, 5, new FieldWriter().u8(1).u64(0).bytes(Buffer.from("x"))),
  "a second exit": (agent) => {
    agent.exit(0);
    agent.exit(0);
  },
  "an answer to no request": (agent) => agent.send(frames.response, 1234, new FieldWriter().u8(0).string("")),
  "an unknown frame": (agent) => agent.send(99, 0, new FieldWriter()),
  "a short frame": (agent) => agent.send(frames.output, 0, new FieldWriter().u8(1)),
  "an offset beyond what a number holds": (agent) => agent.output(Number.MAX_SAFE_INTEGER + 1, "x"),
  "a credit without measure": (agent) => agent.send(frames.inputCredit, 0, new FieldWriter().u64(1e12)),
  "bytes that are no frame": (agent) => agent.write(Buffer.alloc(64, 0xaa)),
};
for (const [what, misbehave] of Object.entries(hostile))
  test(`${what} ends the connection`, async () => {
    const { connection, agent } = await connected();
    const { promise: never } = Promise.withResolvers<void>();
    connection.addMain(() => never).exit.catch(() => undefined);
    misbehave(agent);
    const reason = await connection.closed;
    expect(reason.message).toContain("broke the protocol");
    expect(reason.fault).toBe(true);
  });

test("output in very small pieces is not kept piece by piece", async () => {
  const { connection, agent } = await connected();
  const gate = Promise.withResolvers<void>();
  const taken: (readonly OutputChunk[])[] = [];
  const process = connection.addMain(async (chunks) => {
    taken.push(chunks);
    await gate.promise;
  });
  for (let offset = 0; offset < 20_000; offset++) agent.output(offset, "x");
  agent.outputEnd(20_000, channels.stdout);
  agent.outputEnd(0, channels.stderr);
  agent.exit(0);
  while (taken.length === 0) await Bun.sleep(1);
  // The answer comes behind everything else.
  const answer = connection.request(verbs.statistics, new FieldWriter());
  const { id } = await agent.until((found) => found.type === frames.request);
  agent.send(frames.response, id, new FieldWriter().u8(results.ok).string(""));
  await answer;
  gate.resolve();
  await process.exit;
  connection.close();
  const chunks = taken.flat();
  expect(chunks.length).toBeLessThan(4096);
  expect(chunks.reduce((sum, { data }) => sum + data.length, 0)).toBe(20_000);
});

test("an answer that never ends is cut off", async () => {
  const { connection, agent } = await connected();
  const answer = connection.request(verbs.processes, new FieldWriter());
  const { id } = await agent.until((found) => found.type === frames.request);
  const part = new FieldWriter().bytes(Buffer.alloc(16_000));
  for (let sent = 0; sent <= limits.responseBytes; sent += 16_000) agent.send(frames.responsePart, id, part);
  await expect(answer).rejects.toThrow("too large");
});

test("an answer of parts that carry nothing is cut off", async () => {
  const { connection, agent } = await connected();
  const answer = connection.request(verbs.processes, new FieldWriter(), 3000);
  const { id } = await agent.until((found) => found.type === frames.request);
  for (let sent = 0; sent < 20_000; sent++) agent.send(frames.responsePart, id, new FieldWriter());
  await expect(answer).rejects.toThrow("too large");
});

test("an agent that asks for input and does not read it is given up before it fills memory", async () => {
  const { connection, agent } = await connected();
  const process = connection.addMain(noSink);
  process.exit.catch(() => undefined);
  agent.stopReading();
  void process.write(Buffer.alloc(64 * 1024 * 1024));
  let over: AgentLost | undefined;
  void connection.closed.then((reason) => {
    over = reason;
  });
  for (let credit = limits.inputWindow; over === undefined && credit < 64 * 1024 * 1024; ) {
    agent.send(frames.inputCredit, 0, new FieldWriter().u64(credit));
    await Bun.sleep(0);
    if (process.inputOffset >= credit) credit += limits.inputWindow;
  }
  expect(over?.message).toContain("does not read");
  expect(over?.fault).toBe(true);
});

test("requests that the agent does not read are refused, and it is not given up for them", async () => {
  const { connection, agent } = await connected();
  agent.stopReading();
  const requests = Array.from({ length: 6 }, () =>
    connection
      .request(verbs.start, new FieldWriter().bytes(Buffer.alloc(limits.requestBytes - 1)), 60_000)
      .catch((reason: unknown) => reason),
  );
  expect(await Promise.race(requests)).toBeInstanceOf(AgentRefusal);
  const state = await Promise.race([connection.closed, Bun.sleep(50).then(() => "open")]);
  expect(state).toBe("open");
  connection.close();
});

test("what the agent says in a refusal is harmless on a terminal", async () => {
  const { connection, agent } = await connected();
  const answer = connection.request(verbs.signal, new FieldWriter());
  const { id } = await agent.until((found) => found.type === frames.request);
  const words = "no\n\u001b]0;x\u0007\u009b2J\u202eé";
  agent.send(frames.response, id, new FieldWriter().u8(results.failed).string(words));
  const error = await answer.catch((reason: unknown) => reason);
  expect(String(Object(error).message)).toBe("no ]0;x 2J é");
  connection.close();
});

test("whatever frames come in whatever order, the connection lives or is lost for a reason", async () => {
  for (let seed = 1; seed <= 120; seed++) {
    let state = seed;
    const random = (below: number): number => {
      state = (state * 48271) % 0x7fffffff;
      return state % below;
    };
    const { connection, agent } = await connected();
    const process = connection.addMain(noSink);
    const written = process.write(Buffer.alloc(1000));
    const answer = connection.request(verbs.statistics, new FieldWriter(), 500);
    answer.then(
      (fields) => fields.rest(),
      () => undefined,
    );
    const types = [...Object.values(frames), 0, 255];
    const offsets = [0n, 1n, 0xffffn, 1n << 31n, 1n << 32n, (1n << 53n) - 1n, 1n << 63n, (1n << 64n) - 1n];
    for (let sent = 0; sent < 12; sent++) {
      const payload = new FieldWriter();
      if (random(2) === 0) payload.u8(random(4));
      if (random(3) !== 0) payload.u64(offsets[random(random(2) === 0 ? 1 : offsets.length)] ?? 0n);
      payload.bytes(Buffer.alloc(random(20), random(256)));
      const bytes = encodeFrame(types[random(types.length)] ?? 0, random(3), payload.take());
      if (random(12) === 0) bytes[random(bytes.length)] = random(256);
      agent.write(random(20) === 0 ? bytes.subarray(0, random(bytes.length)) : bytes);
    }
    const end = await Promise.race([connection.closed, Bun.sleep(20)]);
    if (end !== undefined) expect(end.message).toMatch(/broke the protocol/);
    connection.close();
    await Promise.race([written, connection.closed]);
    expect(await process.exit.catch((reason: unknown) => reason)).toBeDefined();
    server?.close();
    rmSync(join(directory, "socket"), { force: true });
  }
}, 30_000);

const welcomes: readonly (readonly [string, number, FieldWriter])[] = [
  ["version 99", 99, new FieldWriter().u8(0).u32(1).u64(0)],
  ["in no known phase", protocolVersion, new FieldWriter().u8(4).u32(1).u64(0)],
  ["next handle is 0", protocolVersion, new FieldWriter().u8(0).u32(0).u64(0)],
  ["next handle is 4294967295", protocolVersion, new FieldWriter().u8(0).u32(0xffffffff).u64(0)],
  [
    "out of range",
    protocolVersion,
    new FieldWriter()
      .u8(0)
      .u32(1)
      .u64(1n << 60n),
  ],
  ["too short", protocolVersion, new FieldWriter().u8(0).u32(1)],
];
for (const [why, version, rest] of welcomes)
  test(`a welcome is refused: ${why}`, async () => {
    const path = join(directory, "socket");
    server = createServer((socket) => {
      const reader = new FrameReader((found) => found.type === frames.hello);
      socket.on("error", () => undefined);
      socket.on("data", (data: Buffer) => {
        for (const { payload } of reader.push(data)) {
          const welcome = new FieldWriter().u32(version).bytes(payload.subarray(4)).bytes(rest.take());
          socket.write(encodeFrame(frames.welcome, 0, welcome.take()));
        }
      });
    });
    await new Promise<void>((listening) => server?.listen(path, listening));
    await expect(AgentConnection.open(path, { timeout: 5000 })).rejects.toThrow(why);
  });

test("an agent whose machine stands still is not to blame that it does not answer, and is again when it goes on", async () => {
  const { connection, agent } = await connected();
  let over = false;
  void connection.closed.then(() => {
    over = true;
  });
  const before = connection.request(verbs.setClock, new FieldWriter(), 20);
  connection.standStill();
  const meanwhile = connection.request(verbs.setClock, new FieldWriter(), 20);
  const second = await agent.until((found) => found.type === frames.request && found.id === 2);
  await Bun.sleep(100);
  expect(over).toBe(false);
  agent.send(frames.response, second.id, new FieldWriter().u8(results.ok).string("").u32(5));
  expect((await meanwhile).u32()).toBe(5);
  connection.goOn();
  await expect(before).rejects.toThrow("did not answer in time");
  expect((await connection.closed).fault).toBe(true);
});

test("a question that is not answered in time is given up alone, and its late answer is dropped", async () => {
  const { connection, agent } = await connected();
  const question = (timeout: number) => connection.request(verbs.statistics, new FieldWriter(), timeout);
  await expect(question(20)).rejects.toThrow("it did not answer in time");
  const asked = await agent.until((found) => found.type === frames.request);
  agent.send(frames.responsePart, asked.id, new FieldWriter().u8(results.ok));
  agent.send(frames.response, asked.id, new FieldWriter().string(""));
  const next = question(10_000);
  const second = await agent.until((found) => found.type === frames.request && found.id !== asked.id);
  agent.send(frames.response, second.id, new FieldWriter().u8(results.ok).string("").u32(5));
  expect((await next).u32()).toBe(5);
  // Answered once, it is no request any more.
  agent.send(frames.response, asked.id, new FieldWriter().u8(results.ok).string(""));
  expect((await connection.closed).message).toContain("answers an unknown request");
});

test("no more questions are asked than an agent that answers none may leave open", async () => {
  const { connection } = await connected();
  const question = () => connection.request(verbs.processes, new FieldWriter(), 1);
  for (let count = 0; count < 16; count++) await expect(question()).rejects.toThrow("in time");
  await expect(question()).rejects.toThrow("it has not answered the questions before this one");
  connection.close();
});
