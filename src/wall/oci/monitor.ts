/**
 * conmon, the monitor of one container or of one exec session: it holds the terminal or the pipes, writes the
 * log and the exit code, and lives on when the daemon dies.
 *
 * A daemon that started it holds one end of its sync pipe, which closes at conmon's death, however it dies. A
 * daemon that found it watches its exit file, and now and then its process.
 */
import { type FSWatcher, mkdirSync, readFileSync, statSync, watch, writeFileSync } from "node:fs";
import { HullError } from "../../contract/errors.ts";
import {
  findProcesses,
  identifyProcess,
  isRunning,
  type ProcessIdentity,
  readProc,
  signalProcess,
} from "../../host/process.ts";
import { plainEnvironment, start } from "../../host/spawn.ts";
import { errnoNameOf } from "../../host/system-error.ts";

/** How a monitored process ended; undefined: its monitor died first, so nobody knows. */
export type MonitoredEnd = { readonly code: number; readonly finishedAt: number } | undefined;

/** Absolute paths of the programs, and the arguments of the runtime that come before its command. */
export interface MonitorPrograms {
  readonly conmon: string;
  readonly runtime: string;
  readonly runtimeArgs: readonly string[];
}

export interface MonitorOptions extends MonitorPrograms {
  /** Directory for the monitor's files: `attach`, `ctl`, `pid`, `conmon.pid`, `exit/`. */
  readonly directory: string;
  readonly containerId: string;
  /** File for the output in the format of log.ts; undefined: none is kept. */
  readonly logPath: string | undefined;
  /** Bytes at which conmon starts the log anew. */
  readonly logLimit?: number;
  readonly terminal: boolean;
  readonly stdin: boolean;
  /** Whether standard input survives the attachments. */
  readonly leaveStdinOpen: boolean;
  /** Descriptors the workload gets as 3, 4…. */
  readonly preserveDescriptors: readonly number[];
  /** For an exec session: its id and the OCI process. */
  readonly exec?: {
    readonly id: string;
    readonly processPath: string;
    readonly onReady?: () => Promise<void>;
  };
}

export interface Monitor {
  /** The process that the runtime made. */
  readonly pid: number;
  /** Resolves when the monitored process has ended and all of its output is in the log. */
  readonly ended: Promise<MonitoredEnd>;
}

/** Thrown when the runtime refused; its own words. */
export class RuntimeRefusal extends Error {
  override readonly name = "RuntimeRefusal";
}

export function attachSocketOf(directory: string): string {
  return `${directory}/attach`;
}

/** Starts conmon, which runs the runtime's `create` (or `exec`). Throws `RuntimeRefusal` when that fails. */
export async function startMonitor(options: MonitorOptions): Promise<Monitor> {
  mkdirSync(exitDirectory(options.directory), { recursive: true });
  const waitsForAttach = options.exec?.onReady !== undefined;
  const firstPipe = 3 + options.preserveDescriptors.length;
  const child = start([options.conmon, ...monitorArguments(options)], {
    env: {
      ...plainEnvironment,
      _OCI_SYNCPIPE: String(firstPipe),
      ...(waitsForAttach
        ? { _OCI_STARTPIPE: String(firstPipe + 1), _OCI_ATTACHPIPE: String(firstPipe + 2) }
        : {}),
    },
    cwd: options.directory,
    stdio: [
      "ignore",
      "ignore",
      "ignore",
      ...options.preserveDescriptors,
      "pipe",
      ...(waitsForAttach ? (["pipe", "pipe"] as const) : []),
    ],
  });
  const sync = await MessagePipe.open(child.stdio[firstPipe]);
  if (options.exec?.onReady !== undefined)
    await attachFirst(options, options.exec.onReady, {
      sync,
      start: await MessagePipe.open(child.stdio[firstPipe + 1]),
      attach: await MessagePipe.open(child.stdio[firstPipe + 2]),
    });
  const message = await sync.next();
  if (message === undefined)
    throw new RuntimeRefusal("the monitor (conmon) ended before it could start the OCI runtime");
  if (message.data <= 0) {
    await sync.closed;
    throw new RuntimeRefusal(message.message);
  }
  return {
    pid: message.data,
    ended: sync.closed.then(() => readEnd(options.directory, options.containerId)),
  };
}

/** Lets the caller attach before conmon, which waits for a second byte, runs the runtime. */
async function attachFirst(
  options: MonitorOptions,
  onReady: () => Promise<void>,
  pipes: { readonly sync: MessagePipe; readonly start: MessagePipe; readonly attach: MessagePipe },
): Promise<void> {
  try {
    pipes.start.write("start");
    if ((await pipes.attach.next()) !== undefined) await onReady();
    pipes.start.write("attached");
  } catch (error) {
    // The end of its pipe would let conmon go on unattached.
    const monitor = findMonitor(options.directory, options.containerId);
    if (monitor !== undefined) signalProcess(monitor, 9);
    throw error;
  } finally {
    pipes.attach.close();
    void pipes.sync.closed.then(() => pipes.start.close());
  }
}

/** Finds what an earlier daemon's monitor left or still does in `directory`. */
export function watchMonitor(directory: string, containerId: string): Promise<MonitoredEnd> {
  const end = readEnd(directory, containerId);
  if (end !== undefined) return Promise.resolve(end);
  const monitor = findMonitor(directory, containerId);
  // It may have written its last between the two looks.
  if (monitor === undefined) return Promise.resolve(readEnd(directory, containerId));
  return new Promise((resolve) => {
    let watcher: FSWatcher | undefined;
    const look = (): void => {
      const gone = !isRunning(monitor);
      const found = readEnd(directory, containerId);
      if (found === undefined && !gone) return;
      clearInterval(timer);
      watcher?.close();
      resolve(found);
    };
    const timer = setInterval(look, monitorLookInterval);
    timer.unref();
    try {
      watcher = watch(exitDirectory(directory), look);
      watcher.unref();
    } catch (error) {
      // Without the directory only the process can be looked at.
      if (errnoNameOf(error) !== "ENOENT") throw error;
    }
    look();
  });
}

/** The running conmon of this directory. Its pid file may outlive it, so its arguments are looked at, too. */
export function findMonitor(directory: string, containerId: string): ProcessIdentity | undefined {
  const pid = readPidFile(`${directory}/conmon.pid`);
  if (pid === undefined) return undefined;
  const identity = identifyProcess(pid);
  return readProc(pid, "cmdline")?.split("\0").includes(containerId) ? identity : undefined;
}

/**
 * All that runs of a monitor. Before its pid file is there (which a daemon's death cannot stop) it is found by
 * its arguments only: conmon forks, and its first process writes the file before it goes.
 */
export function findMonitors(directory: string, containerId: string): ProcessIdentity[] {
  const hasPidFile = (): boolean => readPidFile(`${directory}/conmon.pid`) !== undefined;
  if (!hasPidFile()) {
    const found = findProcesses((args) => args.includes(directory) && args.includes("--conmon-pidfile"));
    // Nothing may also mean that the second was not there yet and the first not any more.
    if (found.length > 0 || !hasPidFile()) return found;
  }
  const monitor = findMonitor(directory, containerId);
  return monitor === undefined ? [] : [monitor];
}

/** The number in a pid file; undefined when there is no file, or nothing in it yet. */
export function readPidFile(path: string): number | undefined {
  const pid = Number.parseInt(readOptional(path) ?? "", 10);
  return pid > 0 ? pid : undefined;
}

const monitorLookInterval = 1000;

function monitorArguments(options: MonitorOptions): string[] {
  const { directory, exec } = options;
  const args = ["--api-version", "1", "--no-sync-log", "--full-attach", "--no-new-keyring"];
  args.push("-r", options.runtime, "-c", options.containerId, "-u", exec?.id ?? options.containerId);
  for (const argument of options.runtimeArgs) args.push("--runtime-arg", argument);
  args.push("-b", directory, "-p", `${directory}/pid`, "--conmon-pidfile", `${directory}/conmon.pid`);
  args.push("--exit-dir", exitDirectory(directory));
  args.push("-l", options.logPath === undefined ? "none" : `k8s-file:${options.logPath}`);
  if (options.logLimit !== undefined) args.push("--log-size-max", String(options.logLimit));
  if (options.terminal) args.push("-t");
  if (options.stdin) args.push("-i");
  if (options.stdin && options.leaveStdinOpen) args.push("--leave-stdin-open");
  const preserved = options.preserveDescriptors.length;
  if (preserved > 0) args.push("--runtime-opt", `--preserve-fds=${preserved}`);
  if (exec !== undefined) {
    args.push("-e", "--exec-process-spec", exec.processPath);
    if (exec.onReady !== undefined) args.push("--exec-attach");
  }
  return args;
}

function exitDirectory(directory: string): string {
  return `${directory}/exit`;
}

function readEnd(directory: string, containerId: string): MonitoredEnd {
  const path = `${exitDirectory(directory)}/${containerId}`;
  const code = Number.parseInt(readOptional(path) ?? "", 10);
  if (Number.isNaN(code) || code < 0) return undefined;
  return { code, finishedAt: Math.round(statSync(path).mtimeMs) };
}

function readOptional(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(errnoNameOf(error) ?? "")) return undefined;
    throw error;
  }
}

interface SyncMessage {
  readonly data: number;
  readonly message: string;
}

/** Our end of one of conmon's pipes: lines of JSON, `{"data": 123}` or `{"data": -1, "message": "…"}`. */
class MessagePipe {
  readonly closed: Promise<void>;
  readonly #resolveClosed: () => void;
  readonly #messages: SyncMessage[] = [];
  #rest = "";
  #isClosed = false;
  #wake: (() => void) | undefined;
  #socket: Bun.Socket<undefined> | undefined;

  private constructor() {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    this.#resolveClosed = resolve;
  }

  static async open(descriptor: unknown): Promise<MessagePipe> {
    if (typeof descriptor !== "number") throw new TypeError("a pipe to the monitor is missing");
    const pipe = new MessagePipe();
    // Bun's types do not know that `connect` also takes a connected descriptor.
    const target = {
      fd: descriptor,
      socket: {
        data: (_: unknown, bytes: Uint8Array) => pipe.#receive(bytes),
        end: (socket: Bun.Socket) => socket.terminate(),
        close: () => pipe.#close(),
        error: () => pipe.#close(),
      },
    } as unknown;
    pipe.#socket = await Bun.connect(target as Bun.UnixSocketOptions<undefined>);
    return pipe;
  }

  /** The next message; undefined when the pipe has ended. */
  async next(): Promise<SyncMessage | undefined> {
    while (this.#messages.length === 0 && !this.#isClosed)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    return this.#messages.shift();
  }

  write(text: string): void {
    this.#socket?.write(text);
    this.#socket?.flush();
  }

  close(): void {
    this.#socket?.terminate();
    this.#close();
  }

  #receive(bytes: Uint8Array): void {
    this.#rest += Buffer.from(bytes).toString("latin1");
    const lines = this.#rest.split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) this.#messages.push(parseSyncMessage(line));
    this.#wake?.();
  }

  #close(): void {
    this.#isClosed = true;
    this.#resolveClosed();
    this.#wake?.();
  }
}

/** conmon's escapes are not all valid JSON, and a runtime's words are any bytes: a broken message is kept as it is. */
export function parseSyncMessage(line: string): SyncMessage {
  const data = /"data":\s*(-?\d+)/.exec(line)?.[1];
  if (data === undefined) throw new HullError("internal", { what: `the monitor said ${line}` });
  const quoted = /"message":\s*(".*")\}?\s*$/.exec(line)?.[1];
  let message = "";
  if (quoted !== undefined)
    try {
      message = String(JSON.parse(quoted));
    } catch {
      message = quoted.slice(1, -1).replaceAll("\\n", "\n").replaceAll('\\"', '"');
    }
  return { data: Number(data), message: Buffer.from(message, "latin1").toString("utf8") };
}

/** Writes the control message that sets the size of the terminal in `directory` (conmon takes at most 1000). */
export function writeTerminalSize(directory: string, rows: number, columns: number): void {
  const clamp = (value: number): number => Math.max(0, Math.min(1000, Math.trunc(value)));
  // Opened for both ways, a fifo does not wait for its reader.
  writeFileSync(`${directory}/ctl`, `1 ${clamp(rows)} ${clamp(columns)}\n`, { flag: "r+" });
}
