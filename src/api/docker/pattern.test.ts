/** Regular expressions of filters: what the runtime's own find, and quickly. */
import { expect, test } from "bun:test";
import { patternMatcher } from "./pattern.ts";

const patterns = [
  ...[
    "web",
    "^web$",
    "^/web$",
    "^(web|db)-[0-9]+$",
    "w.b",
    "w.*b",
    "^w?eb",
    "^[^a-v]eb",
    "[a-]b",
    "a{2}",
    "^a{2,3}$",
  ],
  ...[
    "a{1,}b",
    "^(?:a|b)*$",
    "\\d+",
    "\\.",
    "[\\d.]$",
    "",
    "^$",
    "a|",
    "(a*)*b",
    "^a+?b$",
    "]",
    "x{",
    "[]a]",
  ],
];
const texts = [
  "web",
  "/web",
  "web-1",
  "db-22",
  "",
  "a",
  "aa",
  "aaa",
  "aaaa",
  "ab",
  "aab",
  "b",
  "weeb",
  "1.2",
  "]",
  "x{",
];

test("find what the runtime's own find", () => {
  for (const pattern of patterns)
    for (const text of texts) {
      // A bracket that is closed at once is closed by the next one, as in Go and in POSIX.
      const own = new RegExp(pattern.replace("[]a]", "[\\]a]"));
      expect([pattern, text, patternMatcher("name", pattern)(text)]).toEqual([pattern, text, own.test(text)]);
    }
});

test("are quick on what takes other ways hours", () => {
  const text = `${"a".repeat(255)}-`;
  for (const pattern of ["^(a+)+$", `${"a*".repeat(30)}b`, "(a?){100}a{200}b", "(x+x+)+y|(a|aa)+$"])
    expect(patternMatcher("name", pattern)(text)).toBe(false);
});

test.each([
  "(",
  ")",
  "a)",
  "[a",
  "*a",
  "(?i)a",
  "(?=a)",
  "\\1",
  "a{1001}",
  "a{3,2}",
  "((a{1000}){1000})",
  "x".repeat(1001),
])("%p is refused", (pattern) => {
  expect(() => patternMatcher("name", pattern)).toThrow("invalid filter name");
});
