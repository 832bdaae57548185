/** A whole session with the first process of a workload that exists: what `attach` and `start -a` show. */

import type { WaitCondition } from "../../contract/docker.ts";
import type { Hull } from "../../sdk/main.ts";
import type { Context } from "../context.ts";
import { exitCodeOf } from "./exit.ts";
import { fitTerminal, join, sessionInput } from "./session.ts";
import { SignalForwarder } from "./signals.ts";

export interface AttachedOptions {
  readonly id: string;
  readonly terminal: boolean;
  readonly stdin: boolean;
  readonly detachKeys: string | undefined;
  readonly forwardSignals: boolean;
  readonly until: WaitCondition;
  /** Done once attached, before anything is shown. An exit code says that it failed and ends the session. */
  readonly begin?: () => Promise<number | undefined>;
}

/** Returns the workload's exit code, or 0 when the user detached. */
export async function attachedSession(
  context: Context,
  hull: Hull,
  options: AttachedOptions,
): Promise<number> {
  const { id, terminal, stdin } = options;
  const input = sessionInput(stdin, terminal, options.detachKeys);
  using signals = options.forwardSignals && !(terminal && stdin) ? new SignalForwarder() : undefined;
  const [streams, exit] = await Promise.all([
    hull.containers.attach(id, { stdin, terminal, detachKeys: options.detachKeys }),
    hull.containers.watchExit(id, options.until),
  ]);
  const failed = await options.begin?.();
  if (failed !== undefined) {
    streams.close();
    exit.cancel();
    return failed;
  }
  signals?.sendTo((signal) => void hull.containers.kill(id, signal).catch(() => undefined));
  const resize = (size: { columns: number; rows: number }) => hull.containers.resize(id, size);
  if (terminal) void fitTerminal(resize);
  const end = await join(context, { ...input, streams, stdout: true, stderr: true, resize });
  return end === "detached" ? 0 : exitCodeOf(exit, id);
}
