/** Times of log lines: RFC 3339 with nanoseconds, compared and shown as nanoseconds since the epoch. */

const pattern = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?(Z|[+-]\d{2}:\d{2})$/;

/** Nanoseconds since the epoch, or undefined for a text that is no such time. */
export function parseTime(text: string): bigint | undefined {
  const match = pattern.exec(text);
  if (match === null) return undefined;
  const [, seconds = "", fraction = "", zone = "Z"] = match;
  const milliseconds = Date.parse(`${seconds}${zone}`);
  if (Number.isNaN(milliseconds)) return undefined;
  return BigInt(milliseconds) * 1_000_000n + BigInt(fraction.padEnd(9, "0"));
}

/** The time as Docker prefixes it to a line: in UTC, always nine digits. */
export function formatTime(text: string): string {
  if (text.endsWith("Z") || text.endsWith("+00:00")) {
    const bare = text.slice(0, text.endsWith("Z") ? -1 : -6);
    const [whole = bare, fraction = ""] = bare.split(".");
    return `${whole}.${fraction.padEnd(9, "0")}Z`;
  }
  const nanoseconds = parseTime(text);
  if (nanoseconds === undefined) return text;
  const seconds = nanoseconds / 1_000_000_000n;
  const fraction = String(nanoseconds % 1_000_000_000n).padStart(9, "0");
  return `${new Date(Number(seconds) * 1000).toISOString().slice(0, 19)}.${fraction}Z`;
}
