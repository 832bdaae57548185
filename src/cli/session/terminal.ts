/** The user's terminal: raw mode, which is undone on every way out, and its size. */
import { fstatSync } from "node:fs";
import type { TerminalSize } from "../../sdk/main.ts";

/** Whether a descriptor is a terminal. Most are not, and for those node:tty need not be loaded. */
export function isTerminal(descriptor: 0 | 1 | 2): boolean {
  try {
    if (!fstatSync(descriptor).isCharacterDevice()) return false;
  } catch {
    return false;
  }
  const stream = descriptor === 0 ? process.stdin : descriptor === 1 ? process.stdout : process.stderr;
  return stream.isTTY === true;
}

/** Of whichever of the standard streams is a terminal. */
export function terminalSize(): TerminalSize | undefined {
  for (const stream of [process.stdout, process.stderr])
    if (stream.isTTY && stream.columns > 0 && stream.rows > 0)
      return { columns: stream.columns, rows: stream.rows };
  return undefined;
}

/** Calls back on every change of the terminal's size, until disposed of. */
export function watchSize(changed: (size: TerminalSize) => void): Disposable {
  const listener = () => {
    const size = terminalSize();
    if (size !== undefined) changed(size);
  };
  process.on("SIGWINCH", listener);
  return { [Symbol.dispose]: () => process.off("SIGWINCH", listener) };
}

/** Signals that end the client while the terminal is raw: the keys that make signals are the workload's then. */
const endingSignals = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGTERM: 15 } as const;

/** Passes every key on to the workload. Disposing restores the terminal; so do signals, crashes and exits. */
export function rawMode(): Disposable {
  const { stdin } = process;
  let raw = true;
  const restore = () => {
    if (!raw) return;
    raw = false;
    stdin.setRawMode(false);
  };
  const handlers = Object.entries(endingSignals).map(([name, number]) => {
    const handler = () => {
      restore();
      process.exit(128 + number);
    };
    process.on(name, handler);
    return { name, handler };
  });
  // Runs on process.exit and after an uncaught error, too.
  process.on("exit", restore);
  stdin.setRawMode(true);
  return {
    [Symbol.dispose]() {
      restore();
      process.off("exit", restore);
      for (const { name, handler } of handlers) process.off(name, handler);
    },
  };
}
