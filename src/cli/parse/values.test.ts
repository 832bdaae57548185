import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bytesOf, choiceOf, environmentOf, filtersOf, integerOf, labelsOf, nanoCpusOf } from "./values.ts";

let directory = "";
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "hull-values-"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function file(name: string, content: string): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
}

describe("sizes", () => {
  test.each([
    ["512m", 512 * 2 ** 20],
    ["512M", 512 * 2 ** 20],
    ["1g", 2 ** 30],
    ["1GiB", 2 ** 30],
    ["1.5gb", 1.5 * 2 ** 30],
    ["64kb", 65536],
    ["1048576", 1048576],
    ["7b", 7],
    ["0", 0],
  ])("%s is %d bytes", (value, bytes) => {
    expect(bytesOf("--memory", value)).toBe(bytes);
  });

  test.each(["", "m", "-1", "12x", "1 2", "1mm", "0x10", "1e3", "NaN"])("%p is refused", (value) => {
    expect(() => bytesOf("--memory", value)).toThrow("invalid argument");
  });
});

describe("numbers", () => {
  test("CPUs are a decimal number, in billionths", () => {
    expect(nanoCpusOf("--cpus", "1.5")).toBe(1_500_000_000);
    expect(nanoCpusOf("--cpus", ".25")).toBe(250_000_000);
    expect(nanoCpusOf("--cpus", "0")).toBe(0);
  });

  test.each(["two", "-1", "1e9", "", "1.", "0.00000000001"])("%p CPUs are refused", (value) => {
    expect(() => nanoCpusOf("--cpus", value)).toThrow("invalid argument");
  });

  test("whole numbers have a floor", () => {
    expect(integerOf("--tail", "10", 0)).toBe(10);
    expect(() => integerOf("--tail", "-1", 0)).toThrow("less than 0");
    expect(() => integerOf("--tail", "1.5")).toThrow("whole number");
    expect(() => integerOf("--tail", "99999999999999999999")).toThrow("whole number");
  });

  test("a choice is refused with what there is", () => {
    expect(() => choiceOf("--pull", "maybe", ["always", "never"])).toThrow("use always, never");
  });
});

describe("variables", () => {
  test("a name alone takes the client's value, or is left out", () => {
    expect(environmentOf(["A=1", "HOME", "NONE", "E="], [], { HOME: "/root" })).toEqual([
      "A=1",
      "HOME=/root",
      "E=",
    ]);
  });

  test("files come first, so that flags win", () => {
    const path = file("env", "# comment\n\nA=file\r\n  B=x y\nHOME\nC=#no comment\n");
    expect(environmentOf(["A=flag"], [path], { HOME: "/root" })).toEqual([
      "A=file",
      "B=x y",
      "HOME=/root",
      "C=#no comment",
      "A=flag",
    ]);
  });

  test("a variable without a name, white space in one, and a missing file are refused", () => {
    expect(() => environmentOf(["=x"], [])).toThrow("no name");
    expect(() => environmentOf([], [file("bad", "A B=1\n")])).toThrow("white space");
    expect(() => environmentOf([], [join(directory, "none")])).toThrow("--env-file");
  });
});

describe("labels and filters", () => {
  test("a label without a value is empty", () => {
    expect(labelsOf(["a=1", "b", "c=x=y"])).toEqual({ a: "1", b: "", c: "x=y" });
    expect(labelsOf(["a=flag"], [file("labels", "a=file\n#c\nb=2\n")])).toEqual({ a: "flag", b: "2" });
    expect(() => labelsOf(["=x"])).toThrow("no name");
  });

  test("filters of one name collect", () => {
    expect(filtersOf(["label=a=b", "status=exited", "label=c"])).toEqual({
      label: ["a=b", "c"],
      status: ["exited"],
    });
    expect(() => filtersOf(["status"])).toThrow("name=value");
  });
});
