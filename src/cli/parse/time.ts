/** Points in time of `--since` and `--until`: a Unix time, RFC 3339 with parts left out, or a duration back from now. */
import { UsageError } from "./options.ts";

const durationUnits: Readonly<Record<string, number>> = {
  ns: 1e-9,
  us: 1e-6,
  µs: 1e-6,
  ms: 1e-3,
  s: 1,
  m: 60,
  h: 3600,
};

/** Seconds since the epoch, with as many of nine digits of fraction as were given. */
export function timeOf(flag: string, value: string, now: number = Date.now()): string {
  if (/^\d+(\.\d{1,9})?$/.test(value)) return value;
  const duration = secondsOfDuration(value);
  if (duration !== undefined) return (now / 1000 - duration).toFixed(3);
  const date =
    /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d)(?::(\d\d)(?::(\d\d)(\.\d{1,9})?)?)?)?(Z|[+-]\d\d:?\d\d)?$/.exec(value);
  if (date !== null) {
    const [, day, hours = "00", minutes = "00", seconds = "00", fraction = "", zone = ""] = date;
    const offset = /^[+-]\d{4}$/.test(zone) ? `${zone.slice(0, 3)}:${zone.slice(3)}` : zone;
    const milliseconds = Date.parse(`${day}T${hours}:${minutes}:${seconds}${offset}`);
    if (!Number.isNaN(milliseconds)) return `${Math.floor(milliseconds / 1000)}${fraction}`;
  }
  throw new UsageError(
    `invalid argument "${value}" for ${flag}: use a duration such as 10m or 1h30m, a time such as 2026-01-31T12:00:00Z, or seconds since 1970`,
  );
}

/** `1h30m`, `1.5s`; undefined for what is no duration. */
export function secondsOfDuration(value: string): number | undefined {
  if (!/^(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$/.test(value)) return undefined;
  let seconds = 0;
  for (const [, number, unit] of value.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g))
    seconds += Number(number) * (durationUnits[unit ?? ""] ?? 0);
  return seconds;
}
