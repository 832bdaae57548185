import { describe, expect, test } from "bun:test";
import { resolveVerb, verbs } from "./verbs.ts";

describe("verbs", () => {
  test.each([
    [["ps", "-a"], "ps", ["-a"]],
    [["container", "ls", "-a"], "ps", ["-a"]],
    [["container", "run", "x"], "run", ["x"]],
    [["image", "rm", "x"], "rmi", ["x"]],
    [["image", "inspect", "x"], "inspect", ["--type=image", "x"]],
    [["system", "df"], "df", []],
  ])("%p", (words, name, argv) => {
    expect(resolveVerb(words)).toEqual({ name, argv });
  });

  test.each([
    [["nope"]],
    [["container", "nope"]],
    [["container"]],
    [["constructor"]],
    [["system", "toString"]],
    [[]],
  ])("%p is none", (words) => {
    expect(resolveVerb(words)).toBeUndefined();
  });

  test("every verb loads and has a help that names it", async () => {
    for (const [name, { load, internal }] of Object.entries(verbs)) {
      if (internal) continue;
      const { default: verb } = await load();
      expect(verb.help()).toContain(`hull ${name === "df" ? "system df" : name.replace("-", " ")}`);
    }
  });
});
