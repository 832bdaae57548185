import { expect, test } from "bun:test";
import * as v from "valibot";
import { dictionary } from "./dictionary.ts";

test("every member is kept, whatever it is called", () => {
  const text = '{"__proto__":"a","constructor":"b","prototype":"c","toString":"d","":"e"}';
  const parsed = v.parse(dictionary(v.string()), JSON.parse(text));
  expect(JSON.stringify(parsed)).toBe(text);
  expect(Object.keys(parsed)).toEqual(["__proto__", "constructor", "prototype", "toString", ""]);
});

test.each([
  [["a"], null, "Invalid type: Expected Object but received Array"],
  [null, null, "Invalid type: Expected Object but received null"],
  ["a", null, 'Invalid type: Expected Object but received "a"'],
  [{ outer: { inner: 1 } }, "outer.inner", "Invalid type: Expected string but received 1"],
])("%j is refused, with where it is wrong", (value, path, message) => {
  const { issues = [] } = v.safeParse(dictionary(v.object({ inner: v.string() })), value);
  expect(issues.map((issue) => [v.getDotPath(issue), issue.message])).toEqual([[path, message]]);
});

test("members take defaults and are transformed", () => {
  const schema = dictionary(v.pipe(v.nullish(v.string(), "none"), v.toUpperCase()));
  expect(v.parse(schema, { a: null, b: "b" })).toEqual({ a: "NONE", b: "B" });
});
