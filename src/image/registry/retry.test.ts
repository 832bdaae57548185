import { expect, test } from "bun:test";
import { HullError } from "../../contract/errors.ts";
import { RequestFailure } from "./failure.ts";
import { Retries, retryAfter } from "./retry.ts";

const patience = { attempts: 3, backoff: 1, longestWait: 1000, stall: { milliseconds: 1, bytes: 1 } };
const never = new AbortController().signal;
const broken = new RequestFailure("broken", "it broke off");

test("what may fare better is tried so many times, and from the start after progress", async () => {
  const retries = new Retries(patience, never);
  await retries.after(broken);
  await retries.after(broken);
  retries.progressed();
  await retries.after(broken);
  await retries.after(broken);
  await expect(retries.after(broken)).rejects.toBe(broken);
});

test("what will not fare better is not tried again", async () => {
  const hopeless = [
    new RequestFailure("refused", "no"),
    new RequestFailure("unreachable", "nobody there"),
    new RequestFailure("broken", "later", { wait: 5000 }),
    new HullError("corrupt", {}),
  ];
  for (const error of hopeless) await expect(new Retries(patience, never).after(error)).rejects.toBe(error);
  const reached = new Retries(patience, never);
  reached.progressed();
  await reached.after(new RequestFailure("unreachable", "gone for a moment"));
});

test("a wait ends when nobody waits any more", async () => {
  const abort = new AbortController();
  const waits: number[] = [];
  const waiting = new Retries({ ...patience, longestWait: 100_000 }, abort.signal, (seconds) =>
    waits.push(seconds),
  );
  const after = waiting.after(new RequestFailure("broken", "busy", { wait: 60_000 }));
  abort.abort(new Error("enough"));
  await expect(after).rejects.toThrow("enough");
  expect(waits).toEqual([60]);
});

test("Retry-After is seconds or a date", () => {
  const now = Date.parse("2024-01-01T00:00:00Z");
  expect(retryAfter("7", now)).toBe(7000);
  expect(retryAfter("Mon, 01 Jan 2024 00:00:05 GMT", now)).toBe(5000);
  expect(retryAfter("Mon, 01 Jan 2023 00:00:05 GMT", now)).toBe(0);
  expect(retryAfter("soon", now)).toBeUndefined();
  expect(retryAfter(undefined, now)).toBeUndefined();
});
