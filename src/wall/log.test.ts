import { describe, expect, test } from "bun:test";
import { formatLogLines, parseLogLine } from "./log.ts";

const time = "2026-11-30T05:12:28.123456789+00:00";

function parseAll(file: Uint8Array): { stdout: Buffer; stderr: Buffer; lines: number } {
  const parts = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
  let lines = 0;
  for (let start = 0; start < file.length; ) {
    const end = file.indexOf(10, start);
    const line = parseLogLine(file.subarray(start, end));
    if (line === undefined) throw new Error("a line is not of the format");
    expect(line.time).toBe(time);
    parts[line.stream].push(line.data);
    lines += 1;
    start = end + 1;
  }
  return { stdout: Buffer.concat(parts.stdout), stderr: Buffer.concat(parts.stderr), lines };
}

describe("a log", () => {
  test("gives back every byte", () => {
    const all = Buffer.from(Array.from({ length: 1024 }, (_, index) => index % 256));
    for (const data of [all, Buffer.from(""), Buffer.from("\n"), Buffer.from("a\n\nb"), Buffer.from("a\n")]) {
      const parsed = parseAll(formatLogLines("stdout", data, time));
      expect(parsed.stdout.equals(data)).toBe(true);
      expect(parsed.stderr.length).toBe(0);
    }
  });

  test("marks whole lines and parts of lines", () => {
    expect(Buffer.from(formatLogLines("stderr", Buffer.from("one\ntwo"), time)).toString()).toBe(
      `${time} stderr F one\n${time} stderr P two\n`,
    );
    expect(parseLogLine(Buffer.from(`${time} stdout F `))?.data).toEqual(new Uint8Array([10]));
    expect(parseLogLine(Buffer.from(`${time} stdout P `))?.data).toEqual(new Uint8Array());
  });

  test("has no lines of another form", () => {
    for (const line of [
      "",
      "x",
      `${time} stdout`,
      `${time} stdout F`,
      `${time} stdin F x`,
      `${time} stdout X x`,
      ` stdout F x`,
    ])
      expect(parseLogLine(Buffer.from(line))).toBeUndefined();
  });
});
