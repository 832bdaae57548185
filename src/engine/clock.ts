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

/** Promise of a pause; `signal` cuts it short without an error. */
export function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener(
      "abort",
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });
}
