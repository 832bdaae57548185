/** Time as Docker writes it. Instants are milliseconds since the epoch, with a fraction. */

/** Now, with more than a millisecond's resolution. */
export function now(): number {
  return performance.timeOrigin + performance.now();
}

/** Nanoseconds since the epoch. A double holds an instant of today to about 250 ns, so the value is exact to a microsecond. */
export function nanosecondsOf(instant: number): bigint {
  return BigInt(Math.round(instant * 1000)) * 1000n;
}

const zeroTime = "0001-01-01T00:00:00Z";

/** RFC 3339 with as many digits of the fraction as are needed; Go's zero time for an instant that never was. */
export function rfc3339(instant: number | undefined): string {
  if (instant === undefined) return zeroTime;
  const microseconds = Math.round(instant * 1000);
  const seconds = Math.floor(microseconds / 1e6);
  const fraction = String(microseconds - seconds * 1e6)
    .padStart(6, "0")
    .replace(/0+$/, "");
  const whole = new Date(seconds * 1000).toISOString().slice(0, 19);
  return fraction === "" ? `${whole}Z` : `${whole}.${fraction}Z`;
}

/** A timer of more milliseconds than fit 31 bits fires at once. */
const longestTimer = 2 ** 31 - 1;

/** Promise of a pause of any length; `signal` cuts it short without an error. */
export async function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  let left = milliseconds;
  do {
    if (signal?.aborted === true) return;
    await oneTimer(Math.min(left, longestTimer), signal);
    left -= longestTimer;
  } while (left > 0);
}

function oneTimer(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const settle = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", settle);
      resolve();
    };
    const timer = setTimeout(settle, milliseconds);
    signal?.addEventListener("abort", settle);
  });
}
