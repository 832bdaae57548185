/** Rates as the tc program writes them: `10mbit`, `512kbit`, `1gbit`; a thousand is a thousand. */
import { HullError } from "../../contract/errors.ts";

const units = { bit: 1, kbit: 1e3, mbit: 1e6, gbit: 1e9 } as const;
type Unit = keyof typeof units;

/** A packet takes a second and a half at the slowest; the kernel counts the fastest in bytes, with 32 bits. */
const slowest = 8e3;
const fastest = 32e9;

/** Bits in a second. Throws `invalidParameter`. */
export function parseRate(text: string, what: string): number {
  const match = /^(\d+(?:\.\d+)?)(bit|kbit|mbit|gbit)$/.exec(text.trim().toLowerCase());
  const unit = Object.keys(units).find((name): name is Unit => name === match?.[2]);
  const rate = unit === undefined ? Number.NaN : Math.round(Number(match?.[1]) * units[unit]);
  if (rate >= slowest && rate <= fastest) return rate;
  throw new HullError("invalidParameter", {
    what,
    value: text,
    why: "write it as 512kbit, 10mbit or 1gbit, from 8kbit to 32gbit",
  });
}

export function formatRate(rate: number): string {
  const unit = (["gbit", "mbit", "kbit"] as const).find((name) => rate % units[name] === 0) ?? "bit";
  return `${rate / units[unit]}${unit}`;
}
