/**
 * A Hull daemon of a test's own: own root, state directory and socket, started through `bin/hull` as a user
 * would, and checked on disposal: nothing of it may be left on the machine.
 *
 *   await using daemon = await startDaemon();
 *   const answer = await daemon.hull(["run", "--rm", "hull/tiny", "true"]);
 *   expect(answer).toMatchObject({ code: 0, stderr: "" });
 */
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { keepAcceleration, lendAcceleration } from "./known-acceleration.ts";
import { describeLeftovers, killLeftovers } from "./leftovers.ts";
import { openTerminal, type Terminal, type TerminalOptions } from "./terminal.ts";
import { until } from "./until.ts";

export const projectRoot = join(import.meta.dir, "../..");
export const hullProgram = join(projectRoot, "bin/hull");

export interface DaemonOptions {
  /** Content of the daemon's config file. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Added to the daemon's environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Added to the daemon's command line. */
  readonly args?: readonly string[];
  /** The program to use for daemon and commands; `bin/hull` unless told otherwise. */
  readonly program?: string;
}

export interface HullOptions {
  /** Standard input; none: end of file at once. */
  readonly stdin?: string | Uint8Array | ReadableStream<Uint8Array>;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** The command is killed after this; 90 s unless told otherwise. */
  readonly timeoutMs?: number;
}

export interface HullResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly stdoutBytes: Uint8Array;
}

/** A command that goes on while the test looks at it. */
export interface RunningHull {
  readonly process: Bun.Subprocess<"pipe", "pipe", "pipe">;
  /** What standard output has been so far. */
  stdout(): string;
  stderr(): string;
  /** Resolves once standard output matches. */
  waitForOutput(pattern: RegExp, timeoutMs?: number): Promise<void>;
  readonly result: Promise<HullResult>;
}

export class TestDaemon implements AsyncDisposable {
  readonly directory: string;
  readonly root: string;
  readonly state: string;
  readonly socket: string;
  readonly #options: DaemonOptions;
  #process: Bun.Subprocess<"ignore", "ignore", "pipe"> | undefined;
  #log = "";

  constructor(directory: string, options: DaemonOptions) {
    this.directory = directory;
    this.root = join(directory, "root");
    this.state = join(directory, "s");
    this.socket = join(directory, "hull.sock");
    this.#options = options;
  }

  get #program(): string {
    return this.#options.program ?? hullProgram;
  }

  /** The daemon's process id; throws when it does not run. */
  get pid(): number {
    if (this.#process === undefined) throw new Error("the test's daemon does not run");
    return this.#process.pid;
  }

  /** What the daemon has written to standard error, over all of its lives. */
  get log(): string {
    return this.#log;
  }

  /** Where `DOCKER_HOST` has to point. */
  get dockerHost(): string {
    return `unix://${this.socket}`;
  }

  /** Starts the daemon and resolves when it answers. `env` is for this life of it only. */
  async start(env: Readonly<Record<string, string>> = {}): Promise<void> {
    if (this.#process !== undefined) throw new Error("the test's daemon runs already");
    const configPath = join(this.directory, "config.json");
    await writeFile(configPath, JSON.stringify(this.#options.config ?? {}));
    const places = ["--root", this.root, "--state", this.state, "--socket", this.socket];
    const child = Bun.spawn(
      [this.#program, "daemon", ...places, "--config", configPath, ...(this.#options.args ?? [])],
      {
        cwd: this.directory,
        env: { ...process.env, ...this.#options.env, ...env },
        stdio: ["ignore", "ignore", "pipe"],
      },
    );
    this.#process = child;
    void this.#keepLog(child.stderr);
    await until(`the daemon answers on ${this.socket}`, async () => {
      if (child.exitCode !== null || child.signalCode !== null)
        throw new Error(`the daemon ended with ${child.exitCode ?? child.signalCode}:\n${this.#log}`);
      return await this.ping();
    });
  }

  async ping(): Promise<boolean> {
    if (!existsSync(this.socket)) return false;
    try {
      const response = await fetch("http://hull/_ping", { unix: this.socket });
      return response.ok;
    } catch {
      return false;
    }
  }

  /** Ends the daemon as a crash would; what it started goes on. */
  async kill9(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** Resolves once the daemon has ended by itself. */
  async ended(): Promise<void> {
    await this.#process?.exited;
    this.#process = undefined;
  }

  /** Ends the daemon in order; what it started goes on. */
  async stop(): Promise<void> {
    await this.#end("SIGTERM");
  }

  /** An orderly stop and a new start. */
  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /** The command line of the CLI against this daemon. */
  command(args: readonly string[]): string[] {
    return [this.#program, "--socket", this.socket, ...args];
  }

  /** Runs one command of the CLI against this daemon, to its end. */
  async hull(args: readonly string[], options: HullOptions = {}): Promise<HullResult> {
    return await runProgram(this.command(args), options);
  }

  /** Runs a command that must succeed; returns its standard output without the last newline. */
  async hullOk(args: readonly string[], options: HullOptions = {}): Promise<string> {
    const result = await this.hull(args, options);
    if (result.code !== 0)
      throw new Error(
        `hull ${args.join(" ")} ended with ${result.code}:\n${result.stderr}\n${result.stdout.slice(0, 2000)}\nthe daemon's log ends:\n${this.#log.slice(-3000)}`,
      );
    return result.stdout.replace(/\n$/, "");
  }

  /** Starts a command that goes on beside the test. */
  spawnHull(args: readonly string[], options: Pick<HullOptions, "env" | "cwd"> = {}): RunningHull {
    return spawnProgram(this.command(args), options);
  }

  /** Runs a command of the CLI in a terminal of its own. */
  terminal(args: readonly string[], options: TerminalOptions = {}): Terminal {
    return openTerminal(this.command(args), options);
  }

  /** Runs the real docker CLI against this daemon. */
  async docker(args: readonly string[], options: HullOptions = {}): Promise<HullResult> {
    return await runProgram(["docker", ...args], {
      ...options,
      env: { DOCKER_HOST: this.dockerHost, DOCKER_CONFIG: join(this.directory, "docker"), ...options.env },
    });
  }

  /** Waits until `hull ps -a` shows nothing. */
  async waitUntilEmpty(): Promise<void> {
    await until("no workload is left", async () => (await this.hullOk(["ps", "-aq"])) === "");
  }

  /** Removes every workload, ends the daemon, and fails when anything of it is left on the machine. */
  async [Symbol.asyncDispose](): Promise<void> {
    const trouble: string[] = [];
    try {
      if (
        this.#process === undefined ||
        this.#process.exitCode !== null ||
        this.#process.signalCode !== null
      ) {
        this.#process = undefined;
        await this.start();
      }
      const ids = (await this.hullOk(["ps", "-aq"])).split("\n").filter((id) => id !== "");
      if (ids.length > 0) await this.hullOk(["rm", "-f", ...ids]);
      await this.stop();
    } catch (error) {
      trouble.push(error instanceof Error ? error.message : String(error));
      this.#process?.kill("SIGKILL");
      await this.#process?.exited;
    }
    if (this.#options.config?.vm === undefined) keepAcceleration(this.state);
    trouble.push(...(await leftAfterGrace(this.directory)));
    await killLeftovers(this.directory);
    await rm(this.directory, { recursive: true, force: true });
    if (trouble.length > 0)
      throw new Error(`the test's daemon left something behind:\n${trouble.join("\n")}`);
  }

  async #end(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    const child = this.#process;
    if (child === undefined) throw new Error("the test's daemon does not run");
    child.kill(signal);
    const ended = await Promise.race([child.exited.then(() => true), Bun.sleep(30_000).then(() => false)]);
    if (!ended) {
      child.kill("SIGKILL");
      await child.exited;
      this.#process = undefined;
      throw new Error(
        `the daemon did not end within 30 s of ${signal}; its log ends:\n${this.#log.slice(-3000)}`,
      );
    }
    this.#process = undefined;
  }

  async #keepLog(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of stream) this.#log += decoder.decode(chunk, { stream: true });
  }
}

export async function startDaemon(options: DaemonOptions = {}): Promise<TestDaemon> {
  // Unix socket paths take 107 bytes, so the directory's name is short.
  const daemon = new TestDaemon(await mkdtemp(join(tmpdir(), "h-")), options);
  if (options.config?.vm === undefined) lendAcceleration(daemon.state);
  try {
    await daemon.start();
  } catch (error) {
    await killLeftovers(daemon.directory);
    await rm(daemon.directory, { recursive: true, force: true });
    throw error;
  }
  return daemon;
}

/** Runs a program to its end with captured output. */
export async function runProgram(command: readonly string[], options: HullOptions = {}): Promise<HullResult> {
  const input = options.stdin;
  const child = Bun.spawn([...command], {
    stdin: input === undefined ? "ignore" : typeof input === "string" ? Buffer.from(input) : input,
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const timeoutMs = options.timeoutMs ?? 90_000;
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    child.kill("SIGKILL");
  }, timeoutMs);
  const [stdoutBytes, stderr, code] = await Promise.all([
    child.stdout.bytes(),
    child.stderr.text(),
    child.exited,
  ]);
  clearTimeout(timer);
  const stdout = new TextDecoder().decode(stdoutBytes);
  if (late)
    throw new Error(
      `${command.join(" ")} did not end within ${timeoutMs} ms\nstdout: ${stdout.slice(-2000)}\nstderr: ${stderr.slice(-2000)}`,
    );
  return { code, stdout, stderr, stdoutBytes };
}

function spawnProgram(command: readonly string[], options: Pick<HullOptions, "env" | "cwd">): RunningHull {
  const child = Bun.spawn([...command], {
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...process.env, ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const out: Uint8Array[] = [];
  const err: Uint8Array[] = [];
  const collect = async (stream: ReadableStream<Uint8Array>, into: Uint8Array[]): Promise<void> => {
    for await (const chunk of stream) into.push(chunk);
  };
  const finished = Promise.all([collect(child.stdout, out), collect(child.stderr, err), child.exited]);
  const stdout = () => Buffer.concat(out).toString();
  const stderr = () => Buffer.concat(err).toString();
  return {
    process: child,
    stdout,
    stderr,
    async waitForOutput(pattern, timeoutMs = 60_000) {
      await until(
        () => `output matches ${pattern}; so far:\n${stdout()}\n${stderr()}`,
        async () => {
          if (pattern.test(stdout())) return true;
          if (child.exitCode === null && child.signalCode === null) return false;
          await finished;
          if (pattern.test(stdout())) return true;
          throw new Error(
            `the command ended before its output matched ${pattern}:\n${stdout()}\n${stderr()}`,
          );
        },
        timeoutMs,
      );
    },
    result: finished.then(([, , code]) => ({
      code,
      stdout: stdout(),
      stderr: stderr(),
      stdoutBytes: Buffer.concat(out),
    })),
  };
}

/** Processes and mounts end a moment after the daemon's answer; what is still there after 10 s was forgotten. */
async function leftAfterGrace(directory: string): Promise<string[]> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const left = await describeLeftovers(directory);
    if (left.length === 0 || Date.now() > deadline) return left;
    await Bun.sleep(50);
  }
}

/** The content of a file, or undefined when there is none. */
export async function readIfThere(path: string): Promise<string | undefined> {
  return existsSync(path) ? await readFile(path, "utf8") : undefined;
}
