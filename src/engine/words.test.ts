/** The small vocabularies: names, signals, capabilities, restart policies, failpoints, times. */
import { describe, expect, test } from "bun:test";
import { capabilitiesOf, defaultCapabilities } from "./capabilities.ts";
import { rfc3339 } from "./clock.ts";
import { parseFailpoint } from "./failpoint.ts";
import { formatTime, parseTime } from "./log-times.ts";
import { newId, parseName, randomName } from "./names.ts";
import { nextDelay, parseRestartPolicy, restartsAfterExit } from "./restart.ts";
import { parseSignal } from "./signals.ts";

describe("names", () => {
  test("ids are 64 hexadecimal digits and differ", () => {
    expect(newId()).toMatch(/^[0-9a-f]{64}$/);
    expect(newId()).not.toBe(newId());
  });

  test("made-up names are valid names", () => {
    for (let attempt = 0; attempt < 50; attempt++) expect(parseName(randomName(attempt))).toContain("_");
  });

  test.each(["a", "", "-a", "a b", "a/b", "ä1", "a".repeat(256)])("refuses %p", (name) => {
    expect(() => parseName(name)).toThrow("invalid container name");
  });

  test("takes off the slash that some clients send", () => {
    expect(parseName("/web.1_x-y")).toBe("web.1_x-y");
  });
});

describe("signals", () => {
  test.each([
    ["KILL", 9],
    ["SIGTERM", 15],
    ["sigint", 2],
    ["9", 9],
    ["RTMIN", 34],
    ["SIGRTMIN+3", 37],
    ["RTMAX-1", 63],
    ["SYS", 31],
  ])("%s is %d", (name, number) => {
    expect(parseSignal(name)).toBe(number);
  });

  test.each(["", "0", "65", "NOPE", "RTMIN-1", "RTMAX+1", "RTMIN+99", "1.5", "-9"])("refuses %p", (name) => {
    expect(() => parseSignal(name)).toThrow("invalid signal");
  });
});

describe("capabilities", () => {
  test("as Docker computes them", () => {
    expect(capabilitiesOf([], [])).toEqual([...defaultCapabilities]);
    expect(capabilitiesOf(["SYS_ADMIN"], ["CAP_CHOWN"])).toContain("CAP_SYS_ADMIN");
    expect(capabilitiesOf(["SYS_ADMIN"], ["CAP_CHOWN"])).not.toContain("CAP_CHOWN");
    expect(capabilitiesOf([], ["all"])).toEqual([]);
    expect(capabilitiesOf(["ALL"], [])).toHaveLength(41);
    expect(capabilitiesOf(["ALL"], ["BPF"])).toHaveLength(40);
    expect(() => capabilitiesOf(["NOPE"], [])).toThrow("invalid capability NOPE");
  });
});

describe("restart policies", () => {
  test("parse", () => {
    expect(parseRestartPolicy("", 0).name).toBe("no");
    expect(parseRestartPolicy("on-failure", 3)).toEqual({ name: "on-failure", maximumRetryCount: 3 });
    expect(() => parseRestartPolicy("sometimes", 0)).toThrow("invalid restart policy");
    expect(() => parseRestartPolicy("always", 3)).toThrow("maximum retry count");
    expect(() => parseRestartPolicy("on-failure", -1)).toThrow("maximum retry count");
  });

  test("decide", () => {
    const failing = parseRestartPolicy("on-failure", 2);
    expect(restartsAfterExit(failing, 0, 0)).toBe(false);
    expect(restartsAfterExit(failing, 1, 1)).toBe(true);
    expect(restartsAfterExit(failing, 1, 2)).toBe(false);
    expect(restartsAfterExit(parseRestartPolicy("on-failure", 0), 1, 99)).toBe(true);
    expect(restartsAfterExit(parseRestartPolicy("always", 0), 0, 99)).toBe(true);
    expect(restartsAfterExit(parseRestartPolicy("no", 0), 1, 0)).toBe(false);
  });

  test("pauses grow while it keeps failing, up to a minute", () => {
    expect(nextDelay(0, 0)).toBe(100);
    expect(nextDelay(100, 50)).toBe(200);
    expect(nextDelay(50_000, 50)).toBe(60_000);
    expect(nextDelay(60_000, 20_000)).toBe(100);
  });
});

describe("failpoints", () => {
  test("act on their step, and on the n-th time only", () => {
    const failpoint = parseFailpoint("start:attach:error:2");
    failpoint("start:settle");
    failpoint("start:attach");
    expect(() => failpoint("start:attach")).toThrow("failpoint after step start:attach");
    failpoint("start:attach");
    expect(() => parseFailpoint("start:attach")).toThrow("HULL_FAILPOINT");
    parseFailpoint(undefined)("start:attach");
  });
});

describe("times", () => {
  test("log times keep their nanoseconds and are shown in UTC", () => {
    expect(parseTime("2026-11-30T05:12:28.123456789+00:00")).toBe(
      parseTime("2026-11-30T06:12:28.123456789+01:00"),
    );
    expect(parseTime("1970-01-01T00:00:01.5Z")).toBe(1_500_000_000n);
    expect(parseTime("yesterday")).toBeUndefined();
    expect(formatTime("2026-11-30T06:12:28.123456789+01:00")).toBe("2026-11-30T05:12:28.123456789Z");
    expect(formatTime("2026-11-30T05:12:28.12+00:00")).toBe("2026-11-30T05:12:28.120000000Z");
  });

  test("instants are written as Docker writes them", () => {
    expect(rfc3339(1500.25)).toBe("1970-01-01T00:00:01.50025Z");
    expect(rfc3339(2000)).toBe("1970-01-01T00:00:02Z");
    expect(rfc3339(undefined)).toBe("0001-01-01T00:00:00Z");
  });
});
