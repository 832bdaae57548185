/** A program in a pseudo-terminal of its own, as a person at a keyboard would use it. */
import { until } from "./until.ts";

export interface TerminalOptions {
  readonly columns?: number;
  readonly rows?: number;
  readonly env?: Readonly<Record<string, string>>;
}

export interface Terminal {
  /** Everything that was shown so far. */
  output(): string;
  type(text: string): void;
  resize(columns: number, rows: number): void;
  /** Resolves once what was shown since the last `forget` matches. */
  waitFor(pattern: RegExp, timeoutMs?: number): Promise<void>;
  /** Later `waitFor`s look only at what is shown from now on. */
  forget(): void;
  /** The exit code; 128 + signal when a signal ended the program. */
  readonly exited: Promise<number>;
  /** Ends the program if it still runs. */
  close(): void;
}

export function openTerminal(command: readonly string[], options: TerminalOptions = {}): Terminal {
  let shown = "";
  let mark = 0;
  const decoder = new TextDecoder();
  const child = Bun.spawn([...command], {
    env: { ...process.env, TERM: "xterm", ...options.env },
    terminal: {
      cols: options.columns ?? 80,
      rows: options.rows ?? 24,
      data(_terminal, data) {
        shown += decoder.decode(data, { stream: true });
      },
    },
  });
  const terminal = child.terminal;
  if (terminal === undefined) throw new Error("Bun gave the program no terminal");
  return {
    output: () => shown,
    type(text) {
      terminal.write(text);
    },
    resize(columns, rows) {
      terminal.resize(columns, rows);
    },
    async waitFor(pattern, timeoutMs = 60_000) {
      await until(
        () => `the terminal shows ${pattern}; it shows:\n${JSON.stringify(shown.slice(mark))}`,
        () => {
          if (pattern.test(shown.slice(mark))) return true;
          if (child.exitCode !== null || child.signalCode !== null)
            throw new Error(
              `the program ended before it showed ${pattern}; it showed:\n${shown.slice(mark)}`,
            );
          return false;
        },
        timeoutMs,
      );
    },
    forget() {
      mark = shown.length;
    },
    exited: child.exited,
    close() {
      if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
      terminal.close();
    },
  };
}
