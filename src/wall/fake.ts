/**
 * A wall in memory, for tests of what stands on walls. Its programs are functions; it keeps the promises of the
 * contract that need no kernel, and the conformance suite holds it to them.
 *
 * A `FakeWorld` is the host: what runs in it outlives the wall objects, as workloads outlive a daemon.
 */
import { appendFileSync, mkdirSync, rmSync } from "node:fs";
import { HullError } from "../contract/errors.ts";
import { FakeFiles } from "./fake-files.ts";
import { formatLogLines } from "./log.ts";
import type {
  Attachment,
  AttachOptions,
  ExecSession,
  ExecSpec,
  ExitStatus,
  OutputChunk,
  ProcessRow,
  ProcessSpec,
  Sandbox,
  SandboxSpec,
  SandboxStats,
  TerminalSize,
  Wall,
  WallFeatures,
} from "./wall.ts";

/** A program: resolves to its exit code. Whatever it awaits never resolves once a signal has ended it. */
export type FakeProgram = (self: FakeProcess) => number | Promise<number>;

export interface FakeWorldOptions {
  /** The program for a command line; undefined: there is none (`commandNotFound`). May throw what `start` shall throw. */
  readonly program: (args: readonly string[]) => FakeProgram | undefined;
}

export class FakeWorld {
  readonly options: FakeWorldOptions;
  readonly sandboxes = new Map<string, FakeSandbox>();
  /** Writable layers by the sandbox's directory: contents by path. */
  readonly files = new Map<string, Map<string, string>>();
  #lastPid = 1000;

  constructor(options: FakeWorldOptions) {
    this.options = options;
  }

  nextPid(): number {
    this.#lastPid += 1;
    return this.#lastPid;
  }

  filesOf(directory: string): Map<string, string> {
    const files = this.files.get(directory) ?? new Map<string, string>();
    this.files.set(directory, files);
    return files;
  }
}

export function createFakeWall(world: FakeWorld): Wall {
  return {
    kind: "container",
    layerNames: [],
    features: (): Promise<WallFeatures> => Promise.resolve({ label: "container", sharesKernel: true }),
    create: (spec) => {
      mkdirSync(spec.runtimeDirectory, { recursive: true });
      appendFileSync(spec.logPath, "");
      const sandbox = new FakeSandbox(world, spec);
      world.sandboxes.set(spec.id, sandbox);
      return Promise.resolve(sandbox);
    },
    recover: (spec) => Promise.resolve(world.sandboxes.get(spec.id)),
    openFiles: (spec) =>
      Promise.resolve({
        files: new FakeFiles(world.filesOf(spec.directory)),
        [Symbol.asyncDispose]: () => Promise.resolve(),
      }),
    close: () => Promise.resolve(),
  };
}

/** What a program sees of itself. */
export class FakeProcess {
  readonly spec: ProcessSpec;
  readonly files: Map<string, string>;
  readonly pid: number;
  readonly ended: Promise<ExitStatus>;
  size: TerminalSize;
  readonly #program: FakeProgram;
  readonly #logPath: string | undefined;
  readonly #attachments = new Set<FakeAttachment>();
  readonly #handlers = new Map<number, () => void>();
  readonly #input: Uint8Array[] = [];
  readonly #settle: PromiseWithResolvers<ExitStatus>;
  #inputEnded: boolean;
  #wake: (() => void) | undefined;
  #state: "created" | "running" | "ended" = "created";

  constructor(world: FakeWorld, spec: ProcessSpec, directory: string, logPath: string | undefined) {
    this.spec = spec;
    this.files = world.filesOf(directory);
    this.pid = world.nextPid();
    this.size = spec.size ?? { columns: 80, rows: 24 };
    this.#logPath = logPath;
    this.#inputEnded = !spec.stdin;
    this.#settle = Promise.withResolvers();
    this.ended = this.#settle.promise;
    this.ended.catch(() => undefined);
    const command = spec.args[0] ?? "";
    this.#program = (self) => {
      const program = world.options.program(spec.args);
      if (program === undefined) throw new HullError("commandNotFound", { command });
      return program(self);
    };
  }

  get isRunning(): boolean {
    return this.#state === "running";
  }

  /** Runs the program; throws what looking it up throws. */
  start(): void {
    if (this.#state !== "created") throw new Error("a process starts once");
    this.#state = "running";
    try {
      const result = this.#program(this);
      // A program that throws has no exit code: whoever waits gets what it threw.
      Promise.resolve(result).then((code) => this.end(code), this.#settle.reject);
    } catch (error) {
      this.#state = "ended";
      throw error;
    }
  }

  /** Writes output; on a terminal as a terminal does, as one stream. */
  write(data: string | Uint8Array, stream: "stdout" | "stderr" = "stdout"): void {
    if (!this.isRunning) return;
    const { terminal } = this.spec;
    const bytes =
      typeof data === "string" ? Buffer.from(terminal ? data.replaceAll("\n", "\r\n") : data) : data;
    const chunk: OutputChunk = { stream: terminal ? "stdout" : stream, data: bytes };
    if (this.#logPath !== undefined)
      appendFileSync(this.#logPath, formatLogLines(chunk.stream, bytes, new Date().toISOString()));
    for (const attachment of this.#attachments) attachment.push(chunk);
  }

  /** The next piece of standard input; undefined at its end. */
  async read(): Promise<Uint8Array | undefined> {
    while (this.#input.length === 0 && !this.#inputEnded)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    return this.#input.shift();
  }

  /** One line of standard input, without its newline; what is left at the end. */
  async readLine(): Promise<string> {
    let text = "";
    for (;;) {
      const piece = await this.read();
      if (piece === undefined) return text;
      text += Buffer.from(piece).toString("utf8");
      const newline = text.indexOf("\n");
      if (newline < 0) continue;
      if (newline + 1 < text.length) this.#input.unshift(Buffer.from(text.slice(newline + 1)));
      return text.slice(0, newline);
    }
  }

  /** Handles a signal; those without a handler are ignored, as by a first process. */
  onSignal(signal: number, handler: () => void): void {
    this.#handlers.set(signal, handler);
  }

  /** Resolves after a time, or never when the process has ended by then. */
  sleep(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      setTimeout(() => {
        if (this.isRunning) resolve();
      }, milliseconds);
    });
  }

  signal(signal: number): void {
    if (signal === sigkill) this.end(128 + sigkill);
    else this.#handlers.get(signal)?.();
  }

  end(code: number, oomKilled = false): void {
    if (this.#state === "ended") return;
    this.#state = "ended";
    for (const attachment of this.#attachments) attachment.finish();
    this.#settle.resolve({ code, oomKilled, finishedAt: Date.now() });
  }

  /** Its monitor dies: nobody will know how it ended. */
  lose(name: string): void {
    if (this.#state === "ended") return;
    this.#state = "ended";
    for (const attachment of this.#attachments) attachment.finish();
    this.#settle.reject(new HullError("monitorLost", { name }));
  }

  attach(options: AttachOptions): Attachment {
    const writes = options.stdin && this.spec.stdin;
    const attachment = new FakeAttachment({
      write: (data) => {
        if (writes) this.#receive(data);
      },
      end: () => {
        if (writes && this.spec.stdinOnce) this.#receiveEnd();
      },
    });
    if (this.#state === "ended") attachment.finish();
    else this.#attachments.add(attachment);
    return attachment;
  }

  #receive(data: Uint8Array): void {
    if (this.spec.terminal && data.includes(interruptCharacter)) this.signal(sigint);
    this.#input.push(Uint8Array.from(data));
    this.#wake?.();
  }

  #receiveEnd(): void {
    this.#inputEnded = true;
    this.#wake?.();
  }
}

const sigint = 2;
const sigkill = 9;
const interruptCharacter = 3;

export class FakeSandbox implements Sandbox {
  readonly spec: SandboxSpec;
  readonly files: FakeFiles;
  readonly process: FakeProcess;
  readonly #world: FakeWorld;
  readonly #execs = new Set<FakeProcess>();

  constructor(world: FakeWorld, spec: SandboxSpec) {
    this.spec = spec;
    this.#world = world;
    this.files = new FakeFiles(world.filesOf(spec.directory));
    this.process = new FakeProcess(world, spec.process, spec.directory, spec.logPath);
    const endExecs = (): void => {
      for (const session of this.#execs) session.end(128 + sigkill);
    };
    this.process.ended.then(endExecs, endExecs);
  }

  pid(): number | undefined {
    return this.process.isRunning ? this.process.pid : undefined;
  }

  async start(): Promise<void> {
    this.process.start();
  }

  async attach(options: AttachOptions): Promise<Attachment> {
    return this.process.attach(options);
  }

  async signal(signal: number): Promise<void> {
    this.#expectRunning();
    this.process.signal(signal);
  }

  async exec(spec: ExecSpec): Promise<ExecSession> {
    this.#expectRunning();
    const session = new FakeProcess(
      this.#world,
      // The one attachment of a session ends its input.
      { ...spec.process, stdinOnce: true },
      this.spec.directory,
      undefined,
    );
    const attachment = spec.attach ? session.attach({ stdin: spec.process.stdin }) : undefined;
    session.start();
    this.#execs.add(session);
    return {
      attachment,
      pid: session.pid,
      resize: async (size) => {
        session.size = size;
      },
      wait: () => session.ended,
    };
  }

  async resize(size: TerminalSize): Promise<void> {
    this.process.size = size;
  }

  async pause(): Promise<void> {
    this.#expectRunning();
  }

  async resume(): Promise<void> {
    this.#expectRunning();
  }

  async stats(): Promise<SandboxStats> {
    this.#expectRunning();
    const { memoryBytes } = this.spec.resources;
    return { memoryBytes: 1024, memoryLimitBytes: memoryBytes, cpuNanoseconds: 1_000_000, pids: 1 };
  }

  changeNetwork(): Promise<void> {
    return Promise.resolve();
  }

  async processes(): Promise<ProcessRow[]> {
    this.#expectRunning();
    return [{ pid: 1, parentPid: 0, user: "root", command: this.spec.process.args.join(" ") }];
  }

  wait(): Promise<ExitStatus> {
    return this.process.ended;
  }

  async remove(): Promise<void> {
    this.process.end(128 + sigkill);
    this.#world.sandboxes.delete(this.spec.id);
    rmSync(this.spec.runtimeDirectory, { recursive: true, force: true });
  }

  #expectRunning(): void {
    if (!this.process.isRunning) throw new HullError("workloadNotRunning", { name: this.spec.name });
  }
}

interface FakeInput {
  readonly write: (data: Uint8Array) => void;
  readonly end: () => void;
}

class FakeAttachment implements Attachment {
  readonly output: AsyncIterable<OutputChunk>;
  readonly #input: FakeInput;
  readonly #chunks: OutputChunk[] = [];
  #finished = false;
  #wake: (() => void) | undefined;

  constructor(input: FakeInput) {
    this.#input = input;
    this.output = this.#read();
  }

  push(chunk: OutputChunk): void {
    if (!this.#finished) this.#chunks.push(chunk);
    this.#wake?.();
  }

  finish(): void {
    this.#finished = true;
    this.#wake?.();
  }

  async write(data: Uint8Array): Promise<void> {
    if (!this.#finished) this.#input.write(data);
  }

  async endInput(): Promise<void> {
    this.#input.end();
  }

  detach(): void {
    if (this.#finished) return;
    this.finish();
    this.#input.end();
  }

  async *#read(): AsyncGenerator<OutputChunk> {
    for (;;) {
      const chunk = this.#chunks.shift();
      if (chunk !== undefined) yield chunk;
      else if (this.#finished) return;
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
    }
  }
}
