import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { appendFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { formatLogLines } from "../wall/log.ts";
import { parseTime } from "./log-times.ts";
import { type LogOptions, readLog } from "./logs.ts";

const everything: LogOptions = {
  stdout: true,
  stderr: true,
  since: undefined,
  until: undefined,
  tail: undefined,
  timestamps: false,
  follow: undefined,
};

let directory: string;
let path: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "logs-"));
  path = join(directory, "log");
});
afterEach(() => rm(directory, { recursive: true }));

const at = (second: number) => `2026-01-01T00:00:${String(second).padStart(2, "0")}.000000000+00:00`;

async function write(stream: "stdout" | "stderr", data: string | Uint8Array, second = 0): Promise<void> {
  await appendFile(path, formatLogLines(stream, Buffer.from(data), at(second)));
}

async function read(options: Partial<LogOptions>, signal = new AbortController().signal): Promise<string> {
  const parts: string[] = [];
  for await (const { stream, data } of readLog(path, { ...everything, ...options }, signal))
    parts.push(`${stream === "stderr" ? "!" : ""}${Buffer.from(data).toString("latin1")}`);
  return parts.join("");
}

describe("logs", () => {
  test("give the output back byte for byte, whatever it is", async () => {
    const data = Buffer.alloc(300_000, 0);
    for (let index = 0; index < data.length; index++) data[index] = (index * 7919) % 256;
    await write("stdout", data);
    expect(Buffer.from(await read({}), "latin1").equals(data)).toBe(true);
  });

  test("keep the streams in order and choose among them", async () => {
    await write("stdout", "a\nb");
    await write("stderr", "x\n");
    await write("stdout", "c\n");
    expect(await read({})).toBe("a\nb!x\nc\n");
    expect(await read({ stderr: false })).toBe("a\nbc\n");
    expect(await read({ stdout: false })).toBe("!x\n");
  });

  test("put the time before each line, not before the parts of one", async () => {
    await write("stdout", "one", 1);
    await write("stdout", " line\ntwo\n", 2);
    expect(await read({ timestamps: true })).toBe(
      "2026-01-01T00:00:01.000000000Z one line\n2026-01-01T00:00:02.000000000Z two\n",
    );
  });

  test("show a span of time", async () => {
    for (const second of [1, 2, 3, 4]) await write("stdout", `${second}\n`, second);
    expect(await read({ since: parseTime(at(2)), until: parseTime(at(3)) })).toBe("2\n3\n");
  });

  test.each([
    [0, ""],
    [1, "4\n"],
    [3, "2\n3\n4\n"],
    [4, "1\n2\n3\n4\n"],
    [9, "1\n2\n3\n4\n"],
  ])("show the last %d lines", async (tail, expected) => {
    for (const line of [1, 2, 3, 4]) await write("stdout", `${line}\n`);
    expect(await read({ tail })).toBe(expected);
  });

  test("count whole lines from the end, an unfinished one and only chosen streams", async () => {
    await write("stdout", "first\nsec");
    await write("stdout", "ond\n");
    await write("stderr", "noise\n");
    await write("stdout", "unfin");
    expect(await read({ tail: 2, stderr: false })).toBe("second\nunfin");
    expect(await read({ tail: 1, stderr: false })).toBe("unfin");
  });

  test("find the last lines across blocks", async () => {
    const lines = Array.from({ length: 3000 }, (_, index) => `${index} ${"x".repeat(index % 97)}`);
    await write("stdout", `${lines.join("\n")}\n`);
    expect(await read({ tail: 2500 })).toBe(`${lines.slice(500).join("\n")}\n`);
  });

  test("skip what is no line of a log", async () => {
    await writeFile(path, "garbage\n\n2026 stdout Z x\n");
    await write("stdout", "fine\n");
    expect(await read({})).toBe("fine\n");
  });

  test("a workload that never ran has none", async () => {
    expect(await read({})).toBe("");
  });

  test("follow goes on until the end, and reads to it", async () => {
    await write("stdout", "before\n");
    const end = Promise.withResolvers<void>();
    const followed = read({ follow: end.promise });
    await write("stdout", "during\n");
    await write("stderr", "last\n");
    end.resolve();
    expect(await followed).toBe("before\nduring\n!last\n");
  });

  test("follow shows what is written while nothing else happens", async () => {
    await write("stdout", "before\n");
    const end = Promise.withResolvers<void>();
    const log = readLog(path, { ...everything, follow: end.promise }, new AbortController().signal);
    expect(Buffer.from((await log.next()).value?.data ?? []).toString()).toBe("before\n");
    const next = log.next();
    await write("stdout", "after\n");
    expect(Buffer.from((await next).value?.data ?? []).toString()).toBe("after\n");
    end.resolve();
    expect((await log.next()).done).toBe(true);
  });

  test("follow ends when the reader is gone", async () => {
    await write("stdout", "before\n");
    const gone = new AbortController();
    const followed = read({ follow: new Promise(() => {}) }, gone.signal);
    gone.abort();
    expect(await followed).toMatch(/^(before\n)?$/);
  });
});
