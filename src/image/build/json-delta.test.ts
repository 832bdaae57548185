/** Differences between documents, to there and back. */
import { expect, test } from "bun:test";
import * as v from "valibot";
import { applyDelta, deltaOf, deltaSchema, type Json } from "./json-delta.ts";

const documents: readonly Json[] = [
  {},
  { env: ["A=1"], labels: { a: "b" } },
  { env: ["A=1", "B=2"], labels: { a: "b" } },
  { env: ["A=2", "B=2"], labels: { a: "c", b: "d" }, none: null },
  { env: ["B=2"], labels: {}, none: { is: 1, at: [], put: null } },
  { env: { not: "a list" }, labels: ["not", "an object"], deep: [[1], [2, [3]]] },
  { env: [], deep: [[1], [2, [4]], [2, [4]]] },
];

test("each document comes back from each other one and what is different", () => {
  for (const before of documents)
    for (const after of documents) {
      const delta = deltaOf(before, after);
      const kept = delta === undefined ? undefined : v.parse(deltaSchema, JSON.parse(JSON.stringify(delta)));
      const back = applyDelta(before, kept);
      expect(deltaOf(back, after)).toBeUndefined();
      expect(back).toEqual(after as typeof back);
    }
});

test("what is added to a long list is all that is told", () => {
  const list = Array.from({ length: 1000 }, (_, index) => ({ created_by: `step ${index}` }));
  const delta = deltaOf({ history: list }, { history: [...list, { created_by: "the last" }] });
  expect(JSON.stringify(delta)).toBe(
    '{"members":{"history":{"at":1000,"drop":0,"put":[{"created_by":"the last"}]}},"without":[]}',
  );
});

test("a difference to something else is refused", () => {
  const delta = deltaOf({ a: [1, 2, 3] }, { a: [1, 2] });
  expect(() => applyDelta({ a: [1] }, delta)).toThrow("not a difference");
  expect(() => applyDelta("text", delta)).toThrow("not a difference");
});
