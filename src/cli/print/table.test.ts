import { describe, expect, test } from "bun:test";
import { listText, tableText } from "./table.ts";

const columns = [
  { field: "ID", header: "CONTAINER ID" },
  { field: "Names", header: "NAMES" },
];
const rows = [
  { ID: "1", Names: "a-long-name", Label: () => "x" },
  { ID: "22", Names: "b" },
];
const format = { columns, quiet: "ID" };

test("columns are three blanks apart and the last is not padded", () => {
  expect(
    tableText([
      ["A", "B"],
      ["long", "x"],
      ["", "y"],
    ]),
  ).toBe("A      B\nlong   x\n       y\n");
  expect(tableText([])).toBe("");
});

test("wide characters take two columns", () => {
  expect(
    tableText([
      ["船", "x"],
      ["ab", "y"],
    ]),
  ).toBe("船   x\nab   y\n");
});

describe("a list", () => {
  test("is a table by default", () => {
    expect(listText(rows, format, {})).toBe(
      "CONTAINER ID   NAMES\n1              a-long-name\n22             b\n",
    );
  });

  test("is ids with -q, unless a format is given", () => {
    expect(listText(rows, format, { quiet: true })).toBe("1\n22\n");
    expect(listText(rows, format, { quiet: true, format: "{{.Names}}" })).toBe("a-long-name\nb\n");
  });

  test("is one JSON object a row, without methods", () => {
    expect(listText(rows, format, { format: "json" })).toBe(
      '{"ID":"1","Names":"a-long-name"}\n{"ID":"22","Names":"b"}\n',
    );
  });

  test("shows what would move the terminal about, in tables of one's own too", () => {
    const hostile = [{ ID: "1", Names: "a\x1b[2Jb" }];
    for (const each of [undefined, "table {{.ID}}\\t{{.Names}}"])
      expect(listText(hostile, format, { format: each })).toContain("a\\x1b[2Jb\n");
  });

  test("takes templates, and tables of them with headers", () => {
    expect(listText(rows, format, { format: "{{.ID}}\\t{{.Names}}" })).toBe("1\ta-long-name\n22\tb\n");
    expect(listText(rows, format, { format: "table {{.Names}}\\t{{.ID}}" })).toBe(
      "NAMES         CONTAINER ID\na-long-name   1\nb             22\n",
    );
  });
});
