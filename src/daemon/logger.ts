/** The daemon's log: one JSON object a line on standard error, for journald and people with jq. */
import type { LogFields, Logger, LogLevel } from "../contract/logger.ts";

const order: readonly LogLevel[] = ["debug", "info", "warn", "error"];

export function createLogger(level: LogLevel, write = (line: string) => process.stderr.write(line)): Logger {
  const threshold = order.indexOf(level);
  const at = (own: LogLevel) => {
    if (order.indexOf(own) < threshold) return () => {};
    return (message: string, fields: LogFields = {}) => {
      write(`${JSON.stringify({ time: new Date().toISOString(), level: own, message, ...fields })}\n`);
    };
  };
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}
