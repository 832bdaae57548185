/** `hull run`: create, join the streams, start, show, and end with the workload's exit code. */

import { defaultDetachKeys } from "../contract/detach-keys.ts";
import type { Hull } from "../sdk/main.ts";
import type { Context } from "./context.ts";
import { makeWorkload } from "./make-workload.ts";
import { type Options, text, toggle } from "./parse/options.ts";
import { attachedOf, workloadFlags, workloadRequest } from "./parse/workload.ts";
import { OutputClosed } from "./print/output.ts";
import { complaint } from "./print/visible.ts";
import { exitCodeOf } from "./session/exit.ts";
import { fitTerminal, join, sessionInput } from "./session/session.ts";
import { numberOfSignal, SignalForwarder } from "./session/signals.ts";
import { terminalSize } from "./session/terminal.ts";
import { exitCodes, startFailureCode } from "./start-failure.ts";
import { defineVerb } from "./verb.ts";

const flags = {
  ...workloadFlags,
  detach: toggle("Run in the background and print the workload's id", "d"),
  "detach-keys": text("KEYS", `Keys that leave the workload running (default ${defaultDetachKeys})`),
  "sig-proxy": toggle("Pass signals on to the workload", undefined, true),
} as const;

type RunOptions = Options<typeof flags>;

export default defineVerb({
  usage: "run [OPTIONS] IMAGE [COMMAND] [ARG...]",
  summary: "Runs a command in a new workload made from an image.",
  flags,
  arguments: [1],
  optionsFirst: true,
  failureCode: exitCodes.ownError,
  action: (context, { options, args }) =>
    options.detach ? runDetached(context, options, args) : runAttached(context, options, args),
});

async function runDetached(context: Context, options: RunOptions, args: readonly string[]): Promise<number> {
  const request = workloadRequest(options, args, attachedOf(options, true));
  const hull = await context.hull();
  const id = await makeWorkload(context, hull, request, options);
  try {
    await hull.containers.start(id);
  } catch (error) {
    return failStart(context, hull, options, id, error);
  }
  await context.stdout.line(id);
  return 0;
}

async function runAttached(context: Context, options: RunOptions, args: readonly string[]): Promise<number> {
  const attached = attachedOf(options, false);
  const { tty: terminal } = options;
  const input = sessionInput(attached.stdin, terminal, options["detach-keys"]);
  const request = withConsoleSize(workloadRequest(options, args, attached), terminal);
  const hull = await context.hull();
  // Where the keys go to the workload's terminal, it makes the signals itself; elsewhere they are passed on.
  using signals = options["sig-proxy"] && !(terminal && attached.stdin) ? new SignalForwarder() : undefined;
  const id = await makeWorkload(context, hull, request, options);
  const early = signals?.kept;
  if (early !== undefined) {
    await hull.containers.remove(id, { force: true });
    return 128 + numberOfSignal(early);
  }
  const [streams, exit] = await Promise.all([
    hull.containers.attach(id, { ...attached, terminal, detachKeys: options["detach-keys"] }),
    hull.containers.watchExit(id, options.rm ? "removed" : "next-exit"),
  ]);
  try {
    await hull.containers.start(id);
  } catch (error) {
    streams.close();
    exit.cancel();
    return failStart(context, hull, options, id, error);
  }
  signals?.sendTo((signal) => void hull.containers.kill(id, signal).catch(() => undefined));
  const resize = (size: { columns: number; rows: number }) => hull.containers.resize(id, size);
  if (terminal) void fitTerminal(resize);
  try {
    const end = await join(context, { ...input, ...attached, streams, resize });
    if (end === "detached") return 0;
  } catch (error) {
    // Nobody will read what it writes, and nobody asked to keep it.
    if (error instanceof OutputClosed && options.rm) await hull.containers.kill(id).catch(() => undefined);
    throw error;
  }
  return exitCodeOf(exit, id);
}

function withConsoleSize(request: ReturnType<typeof workloadRequest>, terminal: boolean) {
  const size = terminal ? terminalSize() : undefined;
  if (size === undefined) return request;
  return { ...request, HostConfig: { ...request.HostConfig, ConsoleSize: [size.rows, size.columns] } };
}

async function failStart(
  context: Context,
  hull: Hull,
  options: RunOptions,
  id: string,
  error: unknown,
): Promise<number> {
  // The daemon removes it by itself, or has; then there is nothing to be removed.
  if (options.rm) await hull.containers.remove(id, { force: true }).catch(() => undefined);
  await context.stderr.line(complaint(error));
  return startFailureCode(error);
}
