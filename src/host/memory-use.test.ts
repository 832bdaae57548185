import { expect, test } from "bun:test";
import { proportionalBytes, pssOf } from "./memory-use.ts";

test("the proportional set size of a rollup", () => {
  expect(pssOf("5564 ffffffff [rollup]\nRss:  4096 kB\nPss:   1536 kB\nPss_Anon: 12 kB\n")).toBe(1536 * 1024);
  expect(pssOf("")).toBe(0);
});

test("processes that are gone count nothing, and each of the others once", async () => {
  await using sleeper = Bun.spawn(["sleep", "1000"]);
  const one = await proportionalBytes([sleeper.pid, 2 ** 22 - 1]);
  expect(one).toBeGreaterThan(0);
  const more = await proportionalBytes([sleeper.pid, process.pid, sleeper.pid, sleeper.pid]);
  expect(more).toBeGreaterThan(3 * one + 1024 * 1024);
  expect(await proportionalBytes([])).toBe(0);
});
