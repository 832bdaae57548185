/** Regular expressions of filters: they mean what they mean in Go, which Docker's clients expect. */
import { expect, test } from "bun:test";
import { patternMatcher } from "./pattern.ts";

test.each([
  ["web", "my-web-1", true],
  ["web", "db", false],
  ["", "anything", true],
  ["^web$", "web", true],
  ["^web$", "/web", false],
  ["^(web|db)-[0-9]+$", "db-22", true],
  ["w.b", "web", true],
  ["[]a]", "]", true],
  ["^a{2,3}$", "aaaa", false],
  ["x{", "x{", true],
  ["(?i)WEB", "web", true],
  ["^(?P<name>web)-\\d$", "web-1", true],
  ["[[:alpha:]]-", "b-1", true],
  ["^[^[:upper:]]+$", "Web", false],
  ["\\bdb\\b", "my-db-1", true],
  ["\\Aweb\\z", "web", true],
  ["^\\pL+$", "büro", true],
])("%p finds in %p: %p", async (pattern, text, found) => {
  expect((await patternMatcher("name", pattern))(text)).toBe(found);
});

test("are quick on what takes other ways hours", async () => {
  const text = `${"a".repeat(255)}-`;
  for (const pattern of ["^(a+)+$", `${"a*".repeat(30)}b`, "(a?){100}a{200}b", "(x+x+)+y|(a|aa)+$"])
    expect((await patternMatcher("name", pattern))(text)).toBe(false);
});

test.each([
  "(",
  ")",
  "a)",
  "[a",
  "*a",
  "a**",
  "(?=a)",
  "(?<=a)b",
  "\\1",
  "\\Z",
  "a{1001}",
  "a{3,2}",
  "((a{1000}){1000})",
  "a{1000}".repeat(20),
  "x*".repeat(501),
])("%p is refused", async (pattern) => {
  await expect(patternMatcher("name", pattern)).rejects.toThrow("invalid filter name");
});
