import { expect, test } from "bun:test";
import { Places } from "./places.ts";

const never = new AbortController().signal;

test("no more than there are places goes on at once, in the order of asking", async () => {
  const places = new Places(2);
  const gates = [1, 2, 3, 4].map(() => Promise.withResolvers<void>());
  const begun: number[] = [];
  const works = gates.map((gate, index) =>
    places.take(never, async () => {
      begun.push(index);
      await gate.promise;
    }),
  );
  expect(begun).toEqual([0, 1]);
  gates[1]?.resolve();
  await works[1];
  await new Promise((resolve) => setImmediate(resolve));
  expect(begun).toEqual([0, 1, 2]);
  for (const gate of gates) gate.resolve();
  await Promise.all(works);
  expect(begun).toEqual([0, 1, 2, 3]);
});

test("who gives up does not take a place with them", async () => {
  const places = new Places(1);
  const held = Promise.withResolvers<string>();
  const first = places.take(never, () => held.promise);
  const abort = new AbortController();
  const impatient = places.take(abort.signal, async () => "impatient");
  const patient = places.take(never, async () => "patient");
  const reason = new Error("enough");
  abort.abort(reason);
  await expect(impatient).rejects.toBe(reason);
  held.resolve("first");
  expect(await Promise.all([first, patient])).toEqual(["first", "patient"]);
  expect(await places.take(never, async () => "free again")).toBe("free again");
});

test("work that fails gives its place back", async () => {
  const places = new Places(1);
  await expect(places.take(never, () => Promise.reject(new Error("lost")))).rejects.toThrow("lost");
  expect(await places.take(never, async () => 1)).toBe(1);
});
