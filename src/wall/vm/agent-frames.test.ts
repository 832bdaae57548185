/** The agent's own code, built for the host with sanitizers, against frames that are random, mutated and torn. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildAgentHarness } from "../../../test/support/agent-harness.ts";
import { FieldWriter } from "./fields.ts";
import { encodeFrame, FrameReader, preamble } from "./frames.ts";
import { frames, protocolVersion, verbs } from "./protocol.ts";

const directory = mkdtempSync(join(tmpdir(), "agent-frames-"));
const program = join(directory, "harness");
beforeAll(async () => {
  chmodSync(directory, 0o755);
  await buildAgentHarness(program);
}, 60_000);
afterAll(() => rmSync(directory, { recursive: true }));

/** The agent, run by a user that can harm nothing. */
function startAgent() {
  const harmless = "setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs --bounding-set -all";
  return Bun.spawn([...harmless.split(" "), program], {
    cwd: directory,
    stdin: "pipe",
    stdout: "pipe",
    stderr: "pipe",
    timeout: 30_000,
  });
}

/** What the agent's sanitizers say to the bytes. */
async function feed(bytes: Uint8Array): Promise<{ readonly code: number; readonly stderr: string }> {
  const agent = startAgent();
  void agent.stdin.write(bytes);
  void agent.stdin.end();
  const [, stderr, code] = await Promise.all([agent.stdout.bytes(), agent.stderr.text(), agent.exited]);
  return { code, stderr };
}

function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state * 48271) % 0x7fffffff;
    return state % below;
  };
}

type Random = (below: number) => number;

const large = [0n, 1n, 100n, 65_536n, 262_145n, (1n << 32n) - 1n, 1n << 63n, (1n << 64n) - 1n];

function startOf(random: Random, handle: number): FieldWriter {
  const commands = [["/bin/cat"], ["/bin/true"], ["/bin/echo", "a", "b"], ["nothing"], [""], ["/"], []];
  return new FieldWriter()
    .u8(verbs.start)
    .u32(handle)
    .strings(commands[random(commands.length)] ?? [])
    .strings(["PATH=/nowhere::/bin", "A"])
    .string(random(4) === 0 ? "/no/such" : "/")
    .string(["65534:65534", "65534", "root", "nobody:nogroup", ":", "x:y:z", "99999999999"][random(7)] ?? "")
    .u64(0)
    .u8(random(4) === 0 ? 1 : 0)
    .u8(random(2))
    .u16(80)
    .u16(24);
}

function frameOf(random: Random, count: number): Buffer {
  const id = random(4);
  const offset = large[random(random(2) === 0 ? 3 : large.length)] ?? 0n;
  const number = new FieldWriter().u64(offset);
  switch (random(12)) {
    case 0:
      return encodeFrame(
        frames.hello,
        0,
        new FieldWriter().u32(protocolVersion).bytes(Buffer.alloc(16)).take(),
      );
    case 1:
      return encodeFrame(frames.resume, 0, number.u64(offset).take());
    case 2:
      return encodeFrame(frames.acknowledge, id, new FieldWriter().u8(random(4)).u64(offset).take());
    case 3:
    case 4:
      return encodeFrame(frames.input, id, number.bytes(Buffer.alloc(random(9000), 65)).take());
    case 5:
      return encodeFrame(frames.inputEnd, id, number.take());
    case 6:
      return encodeFrame(frames.exitAcknowledge, id, Buffer.alloc(0));
    case 7:
      return encodeFrame(frames.requestPart, random(2), Buffer.alloc(random(16_000), random(256)));
    case 8: {
      const body = new FieldWriter().u8(random(14));
      for (let words = random(5); words > 0; words--) body.u32(random(3));
      return encodeFrame(frames.request, count, body.take());
    }
    case 9:
      return encodeFrame(random(256), random(3), Buffer.alloc(random(64), random(256)));
    default:
      return encodeFrame(frames.request, count, startOf(random, random(3) === 0 ? 0 : id).take());
  }
}

test("the harness runs programs: their output comes in frames", async () => {
  const agent = startAgent();
  const body = new FieldWriter()
    .u8(verbs.start)
    .u32(0)
    .strings(["/bin/cat"])
    .strings([])
    .string("/")
    .string("65534:65534")
    .u64(0)
    .u8(0)
    .u8(1)
    .u16(80)
    .u16(24);
  void agent.stdin.write(encodeFrame(frames.request, 1, body.take()));
  const words = Buffer.from("there and back");
  void agent.stdin.write(encodeFrame(frames.input, 0, new FieldWriter().u64(0).bytes(words).take()));
  void agent.stdin.write(encodeFrame(frames.inputEnd, 0, new FieldWriter().u64(words.length).take()));
  void agent.stdin.flush();
  const reader = new FrameReader(() => true);
  const seen: number[] = [];
  let output = "";
  for await (const data of agent.stdout)
    for (const { type, payload } of reader.push(data)) {
      seen.push(type);
      if (type === frames.output) output += payload.subarray(9).toString();
      if (type === frames.exit) void agent.stdin.end();
    }
  expect(output).toBe("there and back");
  expect(seen).toContain(frames.response);
  expect(seen).toContain(frames.exit);
  expect(await agent.exited).toBe(0);
}, 30_000);

test("frames of every kind, in any order, whole, mutated and torn, do the agent no harm", async () => {
  for (let seed = 1; seed <= 25; seed++) {
    const random = randomOf(seed);
    const parts: Uint8Array[] = [encodeFrame(frames.request, 0, startOf(random, 0).take())];
    for (let count = 1; count < 200; count++) {
      const bytes = frameOf(random, count);
      if (random(6) === 0) bytes[random(bytes.length)] = random(256);
      parts.push(random(15) === 0 ? bytes.subarray(0, random(bytes.length)) : bytes);
      if (random(30) === 0) parts.push(preamble);
    }
    expect([seed, await feed(Buffer.concat(parts))]).toEqual([seed, { code: 0, stderr: "" }]);
  }
}, 120_000);
