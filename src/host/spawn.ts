/** Starting other programs. Nothing else in Hull spawns. */
import { constants } from "node:os";
import { HullError } from "../contract/errors.ts";
import { errnoNameOf } from "./system-error.ts";

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** A descriptor that the program reads as its standard input; none unless told otherwise. */
  readonly stdin?: number;
  /** Bytes of standard output and of standard error kept; the rest is read and dropped. */
  readonly outputLimit?: number;
  /** Ends the program, and all that it started, when it aborts. */
  readonly signal?: AbortSignal;
}

export interface RunResult {
  /** Exit code, or 128 + signal. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const defaultOutputLimit = 64 * 1024;

/** Where the system's programs are, besides the user's own places: not every user's PATH has them all. */
const systemPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Programs get a small fixed environment: nothing of the daemon's leaks into them. */
export const plainEnvironment: Readonly<Record<string, string>> = {
  PATH: process.env.PATH === undefined ? systemPath : `${process.env.PATH}:${systemPath}`,
  LC_ALL: "C",
};

/**
 * Runs a program to its end. Throws `hostMissing` when it is not installed, and the signal's reason
 * when that aborts; nothing of the program runs any more then.
 */
export async function run(command: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const { signal } = options;
  signal?.throwIfAborted();
  const child = start(command, {
    ...options,
    ownGroup: signal !== undefined,
    stdio: [options.stdin ?? "ignore", "pipe", "pipe"],
  });
  const end = (): void => killGroup(child.pid);
  signal?.addEventListener("abort", end, { once: true });
  const limit = options.outputLimit ?? defaultOutputLimit;
  const [stdout, stderr] = await Promise.all([
    readBounded(child.stdout, limit),
    readBounded(child.stderr, limit),
    child.exited,
  ]).finally(() => signal?.removeEventListener("abort", end));
  signal?.throwIfAborted();
  return { code: exitCodeOf(child), stdout, stderr };
}

/** The group has the id of the program that leads it. */
function killGroup(leader: number): void {
  try {
    process.kill(-leader, "SIGKILL");
  } catch (error) {
    if (errnoNameOf(error) !== "ESRCH") throw error;
  }
}

export interface SpawnOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /**
   * What each descriptor of the program is from 0 on: nothing (/dev/null), a pipe to us, our own, or a given
   * descriptor. A `pipe` from 3 on is a socket pair, whose our end is in `Spawned.stdio`.
   */
  readonly stdio: readonly ("ignore" | "pipe" | "inherit" | number)[];
  /** The program leads a process group and a session of its own. */
  readonly ownGroup?: boolean;
  /** The program is killed when the thread that started it ends, however that ends (PR_SET_PDEATHSIG). */
  readonly endsWithUs?: boolean;
}

/** Of util-linux, which Debian marks as essential. */
const endingWithParent = ["setpriv", "--pdeathsig", "KILL", "--"];

export type Spawned = Bun.Subprocess;

/** Starts a program. Throws `hostMissing` when it is not installed. */
export function start(command: readonly string[], options: SpawnOptions): Spawned {
  const [stdin, stdout, stderr, ...more] = options.stdio;
  try {
    return Bun.spawn([...(options.endsWithUs === true ? endingWithParent : []), ...command], {
      env: { ...(options.env ?? plainEnvironment) },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      ...(options.ownGroup === true ? { detached: true } : {}),
      stdio: [stdin ?? "ignore", stdout ?? "ignore", stderr ?? "ignore", ...more],
    });
  } catch (error) {
    if (errnoNameOf(error) !== "ENOENT") throw error;
    const program = command[0] ?? "";
    throw new HullError(
      "hostMissing",
      { what: `the program ${program}`, remedy: "run `hull doctor` to see the package that has it" },
      { cause: error },
    );
  }
}

/** The exit code of a program that has ended; 128 + signal when a signal ended it. */
export function exitCodeOf(child: Spawned): number {
  const signal = child.signalCode;
  if (child.exitCode !== null) return child.exitCode;
  return 128 + (typeof signal === "number" ? signal : signal === null ? 0 : constants.signals[signal]);
}

/** Reads a pipe to its end and keeps its first bytes. */
async function readBounded(
  stream: ReadableStream<Uint8Array> | number | null | undefined,
  limit: number,
): Promise<string> {
  if (stream === null || stream === undefined || typeof stream === "number") return "";
  const kept: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of stream) {
    if (length < limit) kept.push(chunk.subarray(0, limit - length));
    length += chunk.length;
  }
  return Buffer.concat(kept).toString("utf8");
}
