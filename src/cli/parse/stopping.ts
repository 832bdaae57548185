/** How long and by which signal a workload is asked to end: what `stop` and `restart` take. */
import { type Options, text } from "./options.ts";
import { integerOf } from "./values.ts";

export const stoppingFlags = {
  time: text(
    "SECONDS",
    "How long to wait before killing (default 10, or what was asked for at creation)",
    "t",
  ),
  timeout: text("SECONDS", "The same as --time"),
  signal: text("SIGNAL", "Signal to ask with", "s"),
} as const;

export function stoppingOf(options: Options<typeof stoppingFlags>) {
  const time = options.time ?? options.timeout;
  return {
    seconds: time === undefined ? undefined : integerOf("--time", time, -1),
    signal: options.signal,
  };
}
