/**
 * The daemon's first steps: its configuration, its directories, a mount namespace of its own. For the last one the program is
 * started again, so the rest of the daemon is loaded after that, once.
 */
import { messageOf } from "../contract/errors.ts";
import type { Logger } from "../contract/logger.ts";
import { enterPrivateMountNamespace } from "../host/mount-namespace.ts";
import { type DaemonOptions, loadConfig } from "./config.ts";
import { createLogger } from "./logger.ts";
import { prepareDirectory } from "./places.ts";

/** Runs until it is told to end (SIGTERM, SIGINT). Resolves to the exit code. */
export async function runDaemon(options: DaemonOptions): Promise<number> {
  try {
    const config = loadConfig(options);
    prepareDirectory(config.root);
    prepareDirectory(config.state);
    enterPrivateMountNamespace({ rootDirectory: config.root, stateDirectory: config.state });
    const log = createLogger(config.logLevel);
    keepGoing(log);
    const { serve } = await import("./serve.ts");
    await serve(config, log);
    return 0;
  } catch (error) {
    process.stderr.write(`hull: ${messageOf(error)}\n`);
    return 1;
  }
}

/** A mistake in one request must not end the daemon under all the others. */
function keepGoing(log: Logger): void {
  const report = (kind: string) => (error: unknown) => {
    log.error(kind, { why: messageOf(error), stack: error instanceof Error ? error.stack : undefined });
  };
  process.on("unhandledRejection", report("a promise was rejected and nobody looked"));
  process.on("uncaughtException", report("an error was thrown and nobody caught it"));
}
