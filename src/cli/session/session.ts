/**
 * The client's standard streams joined to a workload's: what `run`, `start -a`, `attach` and `exec` show.
 *
 * All output has been written when `join` resolves. Input that nobody reads any more is dropped quietly.
 */

import { DetachScanner, defaultDetachKeys } from "../../contract/detach-keys.ts";
import { type StandardStreams, StreamError, type TerminalSize } from "../../sdk/main.ts";
import type { Context } from "../context.ts";
import { OutputClosed } from "../print/output.ts";
import { visible } from "../print/visible.ts";
import { parseDetachKeys } from "./detach-keys.ts";
import { isTerminal, rawMode, terminalSize, watchSize } from "./terminal.ts";

export interface SessionOptions {
  readonly streams: StandardStreams;
  /** Whether the client's standard input goes to the workload. */
  readonly input: boolean;
  /** Which outputs are shown. */
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** Whether the workload has a terminal; then the client's own, if its input is one, is set to raw mode. */
  readonly terminal: boolean;
  readonly inputIsTerminal: boolean;
  readonly detachKeys: Uint8Array;
  /** Tells the workload's terminal its new size. */
  readonly resize: (size: TerminalSize) => Promise<void>;
}

type SessionInput = Pick<SessionOptions, "input" | "terminal" | "inputIsTerminal" | "detachKeys">;

/** Of what the user has asked for. Throws when a terminal is wanted and the client's own input is none. */
export function sessionInput(input: boolean, terminal: boolean, detachKeys?: string): SessionInput {
  const inputIsTerminal = input && isTerminal(0);
  if (input && terminal && !inputIsTerminal) throw new Error("the input device is not a TTY");
  return { input, terminal, inputIsTerminal, detachKeys: parseDetachKeys(detachKeys ?? defaultDetachKeys) };
}

export type SessionEnd = "ended" | "detached";

export async function join(context: Context, options: SessionOptions): Promise<SessionEnd> {
  using stack = new DisposableStack();
  if (options.terminal) stack.use(watchSize((size) => void options.resize(size).catch(() => undefined)));
  if (options.terminal && options.input && options.inputIsTerminal) stack.use(rawMode());
  const detached = Promise.withResolvers<"detached">();
  if (options.input) void sendInput(options, () => detached.resolve("detached"));
  const shown = showOutput(context, options).then(() => "ended" as const);
  const end = await Promise.race([shown, detached.promise]);
  if (end === "detached") {
    // The output's end comes with the closing and is of no interest.
    shown.catch(() => undefined);
    options.streams.close();
  }
  return end;
}

/** Sets the workload's terminal to the size of the client's, if there is one. */
export async function fitTerminal(resize: (size: TerminalSize) => Promise<void>): Promise<void> {
  const size = terminalSize();
  // A workload that has ended already has no terminal to be fitted.
  if (size !== undefined) await resize(size).catch(() => undefined);
}

async function showOutput(context: Context, options: SessionOptions): Promise<void> {
  try {
    for await (const { stream, data } of options.streams.output) {
      if (stream === "stdout" && options.stdout) await context.stdout.write(data);
      else if (stream === "stderr" && options.stderr) await writeError(context, data);
    }
  } catch (error) {
    if (!(error instanceof StreamError)) throw error;
    await context.stderr.line(visible(error.message));
  }
}

/** Nobody reads the errors: the output goes on. */
async function writeError(context: Context, data: Uint8Array): Promise<void> {
  try {
    await context.stderr.write(data);
  } catch (error) {
    if (!(error instanceof OutputClosed)) throw error;
  }
}

async function sendInput(options: SessionOptions, detach: () => void): Promise<void> {
  const { streams } = options;
  const scanner = new DetachScanner(options.terminal ? options.detachKeys : new Uint8Array(0));
  try {
    for await (const typed of inputOf(options.inputIsTerminal)) {
      const { data, detach: wanted } = scanner.scan(typed);
      if (data.length > 0) await streams.write(data);
      if (wanted) return detach();
    }
    streams.endInput();
  } catch {
    // The workload ended or let go of its input; its exit code tells whether that was right.
  }
}

async function* inputOf(terminal: boolean): AsyncGenerator<Uint8Array, void, void> {
  if (terminal) {
    for await (const typed of process.stdin) yield typeof typed === "string" ? Buffer.from(typed) : typed;
    return;
  }
  yield* Bun.stdin.stream();
}
