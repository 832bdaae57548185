import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mount, unmount } from "../../host/mount.ts";
import { countLogged, logSize, OutputLog } from "./output-log.ts";

let directory = "";
let path = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "output-log-"));
  path = join(directory, "log");
});
afterEach(() => rmSync(directory, { recursive: true }));

const stdout = (text: string) => ({ stream: "stdout" as const, data: Buffer.from(text) });
const stderr = (text: string) => ({ stream: "stderr" as const, data: Buffer.from(text) });

test("what was written is counted by stream, from a given start", async () => {
  const log = new OutputLog(path);
  log.append([stdout("an earlier life\n")]);
  const start = logSize(path);
  log.append([stdout("one\ntwo"), stderr("\n\n"), stdout(" more\n")]);
  log.append([stdout("\u{1F600}")]);
  log.close();
  expect(await countLogged(path, start)).toEqual([17, 2]);
  expect(await countLogged(path, 0)).toEqual([33, 2]);
});

test("a full disk leaves the log without a part of what did not fit, and it goes on when there is room", async () => {
  mount({ source: "tmpfs", target: directory, type: "tmpfs", data: "size=64k" });
  try {
    const log = new OutputLog(path);
    const filler = join(directory, "filler");
    writeFileSync(filler, Buffer.alloc(32 * 1024));
    log.append([stdout("first\n")]);
    const size = logSize(path);
    const much = stdout("0123456789\n".repeat(2000));
    expect(() => log.append([much])).toThrow("ENOSPC");
    expect(logSize(path)).toBe(size);
    rmSync(filler);
    log.append([stdout("second\n")]);
    log.close();
    expect(await countLogged(path, 0)).toEqual([13, 0]);
  } finally {
    unmount(directory);
  }
});

test("a line that a killed daemon left unfinished is cut off", async () => {
  const log = new OutputLog(path);
  log.append([stdout("whole\n")]);
  log.close();
  const whole = readFileSync(path);
  for (const torn of ["2", "2026-11-30T05:12:28.123456789+00:00 stdout F to", "x".repeat(3_000_000)]) {
    appendFileSync(path, torn);
    expect(await countLogged(path, 0)).toEqual([6, 0]);
    expect(readFileSync(path).equals(whole)).toBe(true);
  }
});

test("a log that is missing or was cut counts nothing", async () => {
  expect(await countLogged(path, 0)).toEqual([0, 0]);
  appendFileSync(path, "short\n");
  expect(await countLogged(path, 1000)).toEqual([0, 0]);
  expect(statSync(path).size).toBe(6);
});

test("what comes after the end is in the log, and nothing holds it open", async () => {
  const log = new OutputLog(path);
  log.append([stdout("before")]);
  log.close();
  log.append([stdout("after")]);
  expect(await countLogged(path, 0)).toEqual([11, 0]);
  const open = readdirSync("/proc/self/fd").flatMap((name) => {
    try {
      return [readlinkSync(`/proc/self/fd/${name}`)];
    } catch {
      return [];
    }
  });
  expect(open).not.toContain(path);
});
