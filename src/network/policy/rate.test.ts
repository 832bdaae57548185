import { expect, test } from "bun:test";
import { formatRate, parseRate } from "./rate.ts";

test("rates are bits in a second, with tc's units, and are shown as they can be given again", () => {
  for (const [text, rate, shown] of [
    ["10mbit", 1e7, "10mbit"],
    ["1.5Mbit", 1.5e6, "1500kbit"],
    ["1gbit", 1e9, "1gbit"],
    ["8000bit", 8000, "8kbit"],
    ["12345bit", 12_345, "12345bit"],
  ] as const)
    expect([text, parseRate(text, "rate"), formatRate(rate)]).toEqual([text, rate, shown]);
});

test("what is no rate, and what the kernel cannot keep to, is refused", () => {
  for (const text of ["", "10", "10mb", "10 mbit", "-1mbit", "1e9bit", "7kbit", "33gbit", "NaNbit", ".5mbit"])
    expect(() => parseRate(text, "rate")).toThrow(`rate`);
});
