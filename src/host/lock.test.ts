import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { tryLock } from "./lock.ts";
import { start } from "./spawn.ts";

const directory = mkdtempSync(join(tmpdir(), "lock-"));
afterAll(() => rmSync(directory, { recursive: true }));

test("a lock is held by one at a time, until it is closed", () => {
  const path = join(directory, "a");
  const first = tryLock(path);
  expect(first?.path).toBe(path);
  expect(tryLock(path)).toBeUndefined();
  first?.close();
  first?.close();
  const second = tryLock(path);
  expect(second).toBeDefined();
  second?.close();
});

test("a lock goes with the process that holds it", async () => {
  const path = join(directory, "b");
  const holder = start(["flock", path, "sh", "-c", "echo held; exec sleep 1000"], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  if (!(holder.stdout instanceof ReadableStream)) throw new Error("no output");
  const reader = holder.stdout.getReader();
  await reader.read();
  expect(tryLock(path)).toBeUndefined();
  // `flock` waits for its child, which has the descriptor too: end both.
  process.kill(holder.pid, "SIGKILL");
  await holder.exited;
  const children = Bun.spawnSync(["fuser", path]).stdout.toString().trim().split(/\s+/).filter(Boolean);
  for (const pid of children) process.kill(Number(pid), "SIGKILL");
  for (;;) {
    using lock = tryLock(path);
    if (lock !== undefined) break;
    await Bun.sleep(5);
  }
});

test("a missing directory is an error, not a lock held by another", () => {
  expect(() => tryLock(join(directory, "missing/lock"))).toThrow("ENOENT");
});
