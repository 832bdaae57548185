import { afterAll, expect, test } from "bun:test";
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { whileWriting } from "./write-back.ts";

const directory = mkdtempSync(join(tmpdir(), "wb-"));
const disk = join(directory, "disk");
writeFileSync(disk, "");
afterAll(() => rmSync(directory, { recursive: true, force: true }));
const limits = { pause: 100, longest: 60_000 };

test("an end that comes is awaited, whether it succeeds or fails", async () => {
  await whileWriting(directory, Promise.resolve(), limits);
  await whileWriting(directory, Promise.reject(new Error("lost")), limits);
});

test("nobody waits for an end that does not come, once nothing is written", async () => {
  await whileWriting(directory, new Promise(() => undefined), limits);
});

test("what still writes is awaited for many pauses", async () => {
  const end = Promise.withResolvers<void>();
  let writes = 0;
  const writer = setInterval(() => {
    appendFileSync(disk, "x");
    if (++writes === 40) end.resolve();
  }, 10);
  await whileWriting(directory, end.promise, { pause: 60, longest: 60_000 });
  clearInterval(writer);
  expect(writes).toBeGreaterThanOrEqual(40);
});

test("what writes for ever is not awaited for ever", async () => {
  const writer = setInterval(() => appendFileSync(disk, "x"), 5);
  await whileWriting(directory, new Promise(() => undefined), { pause: 50, longest: 200 });
  clearInterval(writer);
});
