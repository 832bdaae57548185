import { expect, test } from "bun:test";
import { ignorePatterns, pathGlob } from "./ignore-patterns.ts";

const matches = (pattern: string, path: string): boolean => pathGlob(pattern).matches([...path]);

test.each([
  ["*.log", "a.log", true],
  ["*.log", "d/a.log", false],
  ["**/*.log", "a.log", true],
  ["**/*.log", "d/e/a.log", true],
  ["**/log", "dlog", false],
  ["a/**", "a/b/c", true],
  ["a/**/c", "a/c", true],
  ["a/**/c", "a/b/b/c", true],
  ["a/**/c", "a/bc", false],
  ["**", "a/b", true],
  ["a?c", "a/c", false],
  ["a?c", "aéc", true],
  ["[a-c]x", "bx", true],
  ["[^a-c]x", "bx", false],
  ["[!a-c]x", "dx", true],
  ["[]]", "]", true],
  ["[\\]a]", "a", true],
  ["[a-]", "-", true],
  ["\\*", "*", true],
  ["\\*", "a", false],
  ["a.c", "abc", false],
])("%s and %s", (pattern, path, wanted) => {
  expect(matches(pattern, path)).toBe(wanted);
});

test("what names a directory names all below it", () => {
  const patterns = ignorePatterns("node_modules\n*/temp*\n!a/temp/kept");
  const ignored = ["node_modules/x/y", "a/temp1", "a/temp/other", "b/tempo/x"];
  expect(ignored.filter((path) => !patterns.ignores(path))).toEqual([]);
  expect(["node_modules2", "a/temp/kept", "x"].filter((path) => patterns.ignores(path))).toEqual([]);
});

test("a pattern that could be tried in very many ways comes to an end", () => {
  expect(matches(`${"*a".repeat(100)}b`, "a".repeat(4000))).toBe(false);
  expect(matches(`${"**/".repeat(100)}b`, "a/".repeat(2000))).toBe(false);
});

test.each(["[a", "a\\", "[z-a]", "a".repeat(5000)])("%j is refused", (pattern) => {
  expect(() => pathGlob(pattern)).toThrow(SyntaxError);
});

test("too many patterns are refused", () => {
  expect(() => ignorePatterns("a\n".repeat(10_001))).toThrow("more than 10000 patterns");
});
