/** How parts of the daemon report what happens; src/daemon/logger.ts writes it. */

export type LogLevel = "debug" | "info" | "warn" | "error";

export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

/** A logger that says nothing, for tests and libraries. */
export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} };
