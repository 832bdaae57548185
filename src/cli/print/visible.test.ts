import { expect, test } from "bun:test";
import { listText } from "./table.ts";
import { complaint, visible, visibleLine } from "./visible.ts";

const hostile = "\x1b[31mred\x07\x9b2J\r\x7f\0";
const shown = "\\x1b[31mred\\x07\\x9b2J\\x0d\\x7f\\x00";

test("control characters are shown, everything else stays", () => {
  expect(visible(hostile)).toBe(shown);
  expect(visible("größe 漢字\nnext")).toBe("größe 漢字\nnext");
  expect(visibleLine("one\ntwo\tthree")).toBe("one two three");
  expect(complaint(new Error(hostile))).toBe(`hull: ${shown}`);
});

test("a cell cannot leave its table", () => {
  const list = { columns: [{ field: "Name", header: "NAME" }], quiet: "Name" };
  expect(listText([{ Name: `a\nb${hostile}` }], list, {})).toBe(`NAME\na b${shown}\n`);
  // Templates and JSON are for programs.
  expect(listText([{ Name: hostile }], list, { format: "{{.Name}}" })).toBe(`${hostile}\n`);
});
