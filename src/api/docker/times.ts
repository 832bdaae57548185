/** Instants in query parameters: seconds since the epoch with a fraction, RFC 3339, or a duration before now. */
import { HullError } from "../../contract/errors.ts";
import { nanosecondsOf, now } from "../../engine/clock.ts";
import { parseTime } from "../../engine/log-times.ts";

const unitNanoseconds: Readonly<Record<string, bigint>> = {
  h: 3_600_000_000_000n,
  m: 60_000_000_000n,
  s: 1_000_000_000n,
  ms: 1_000_000n,
};

/** Nanoseconds since the epoch. */
export function parseInstant(name: string, text: string): bigint {
  const seconds = /^(-?\d{1,12})(?:\.(\d{1,9}))?$/.exec(text);
  if (seconds !== null) {
    const [, whole = "0", fraction = ""] = seconds;
    return BigInt(whole) * 1_000_000_000n + BigInt(fraction.padEnd(9, "0"));
  }
  const instant = parseTime(text) ?? parseTime(`${text}Z`) ?? parseTime(`${text}T00:00:00Z`) ?? before(text);
  if (instant === undefined)
    throw new HullError("invalidParameter", {
      what: name,
      value: text,
      why: "give seconds since the epoch, an RFC 3339 time, or a duration such as 1h30m",
    });
  return instant;
}

function before(duration: string): bigint | undefined {
  if (!/^(\d{1,9}(h|ms|m|s))+$/.test(duration)) return undefined;
  let total = 0n;
  for (const [, amount = "0", unit = "s"] of duration.matchAll(/(\d+)(h|ms|m|s)/g))
    total += BigInt(amount) * (unitNanoseconds[unit] ?? 0n);
  return nanosecondsOf(now()) - total;
}

/** As `parseInstant`; undefined for an absent parameter and for Docker's zero. */
export function parseOptionalInstant(name: string, text: string): bigint | undefined {
  return text === "" || text === "0" ? undefined : parseInstant(name, text);
}
