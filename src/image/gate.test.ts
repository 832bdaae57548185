/** Collection and the work that it must not disturb. */
import { expect, test } from "bun:test";
import { Gate } from "./gate.ts";

test("collection waits for all work, and new work for collection", async () => {
  const seen: string[] = [];
  const collected = Promise.withResolvers<void>();
  const gate = new Gate(async () => {
    seen.push("collecting");
    await collected.promise;
    seen.push("collected");
  });
  const held = await gate.enter();
  await gate.request();
  expect(seen).toEqual([]);
  const leaving = held[Symbol.asyncDispose]();
  const work = (async () => {
    await Bun.sleep(0);
    await gate.run(async () => {
      seen.push("work");
    });
  })();
  await Bun.sleep(0);
  collected.resolve();
  await Promise.all([leaving, work]);
  expect(seen).toEqual(["collecting", "collected", "work"]);
});

test("a collection that fails fails nobody's work, and is made up for", async () => {
  let fails = true;
  let collections = 0;
  const gate = new Gate(async () => {
    collections++;
    if (fails) throw new Error("the disk is full");
  });
  const failed = gate.run(() => Promise.reject(new Error("the work's own")));
  expect(await failed.catch(String)).toBe("Error: the work's own");
  expect(await gate.run(() => Promise.resolve("done"))).toBe("done");
  expect(await gate.request().catch(String)).toBe("Error: the disk is full");
  fails = false;
  await gate.run(() => Promise.resolve());
  await gate.run(() => Promise.resolve());
  expect(collections).toBe(4);
});
