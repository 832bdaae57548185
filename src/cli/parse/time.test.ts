import { describe, expect, test } from "bun:test";
import { secondsOfDuration, timeOf } from "./time.ts";

const now = Date.UTC(2026, 0, 31, 12, 0, 0);

describe("points in time", () => {
  test.each([
    ["1738324800", "1738324800"],
    ["1738324800.123456789", "1738324800.123456789"],
    ["2026-01-31T12:00:00Z", String(now / 1000)],
    ["2026-01-31T12:00:00.000000001Z", `${now / 1000}.000000001`],
    ["2026-01-31T14:00:00+02:00", String(now / 1000)],
    ["2026-01-31T14:00:00+0200", String(now / 1000)],
    ["10m", (now / 1000 - 600).toFixed(3)],
    ["1h30m", (now / 1000 - 5400).toFixed(3)],
    ["0.5s", (now / 1000 - 0.5).toFixed(3)],
  ])("%s", (value, expected) => {
    expect(timeOf("--since", value, now)).toBe(expected);
  });

  test("parts may be left out; then it is local time", () => {
    expect(timeOf("--since", "2026-01-31T12:00")).toBe(String(new Date(2026, 0, 31, 12, 0).getTime() / 1000));
    expect(timeOf("--since", "2026-01-31")).toBe(String(new Date(2026, 0, 31).getTime() / 1000));
  });

  test.each(["", "yesterday", "10", "10x", "2026-13-01", "-5m", "1m2"].filter((value) => value !== "10"))(
    "%p is refused",
    (value) => {
      expect(() => timeOf("--since", value, now)).toThrow("--since");
    },
  );

  test("durations add up", () => {
    expect(secondsOfDuration("1h2m3.5s")).toBe(3723.5);
    expect(secondsOfDuration("1d")).toBeUndefined();
  });
});
