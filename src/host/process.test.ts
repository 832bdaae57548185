import { expect, test } from "bun:test";
import {
  findProcesses,
  identifyProcess,
  isRunning,
  parseProcessStatus,
  processStatus,
  signalProcess,
} from "./process.ts";
import { start } from "./spawn.ts";

test("a command name with spaces and parentheses does not confuse the fields", () => {
  const fields = ["S", "41", ...Array.from({ length: 17 }, () => "0"), "98765", "0"];
  expect(parseProcessStatus(`42 (a) b (c)) ${fields.join(" ")}`)).toEqual({
    pid: 42,
    parentPid: 41,
    state: "S",
    startTime: 98_765,
  });
  expect(parseProcessStatus("nonsense")).toBeUndefined();
});

test("a process is identified while it runs, signalled, and then no more", async () => {
  const child = start(["sleep", "1000"], { stdio: [] });
  const identity = identifyProcess(child.pid);
  expect(findProcesses((args) => args.includes("1000")).map(({ pid }) => pid)).toContain(child.pid);
  expect(processStatus(child.pid)?.parentPid).toBe(process.pid);
  if (identity === undefined) throw new Error("the child is not there");
  expect(isRunning(identity)).toBe(true);
  expect(signalProcess(identity, 9)).toBe(true);
  await child.exited;
  expect(isRunning(identity)).toBe(false);
  expect(signalProcess(identity, 9)).toBe(false);
});

test("a process that merely has the number is not signalled", async () => {
  const child = start(["sleep", "1000"], { stdio: [] });
  const identity = identifyProcess(child.pid);
  if (identity === undefined) throw new Error("the child is not there");
  expect(signalProcess({ ...identity, startTime: identity.startTime - 1 }, 9)).toBe(false);
  expect(isRunning(identity)).toBe(true);
  child.kill("SIGKILL");
  await child.exited;
});

test("a number that no process has is no process", () => {
  expect(identifyProcess(2 ** 22 + 1)).toBeUndefined();
  expect(signalProcess({ pid: 2 ** 22 + 1, startTime: 1 }, 9)).toBe(false);
});
