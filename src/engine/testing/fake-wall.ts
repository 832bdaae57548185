/**
 * A wall in memory for the tests of the engine and the API. Its programs are named by their first argument:
 *
 *   echo TEXT    writes TEXT and a newline, and ends with 0
 *   cat          copies input to output until the end of input
 *   exit N       ends with N
 *   sleep        runs until a signal ends it
 *   stubborn     runs until SIGKILL ends it
 *   lost         its monitor is lost
 *   missing      cannot be started: commandNotFound
 *
 * A `FakeWorld` outlives engines as the host's processes outlive daemons: a second wall on the same world finds
 * the sandboxes of the first.
 */
import { appendFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { HullError } from "../../contract/errors.ts";
import type { WallKind, WallLabel } from "../../contract/isolation.ts";
import { FakeFiles } from "../../wall/fake-files.ts";
import { formatLogLines } from "../../wall/log.ts";
import {
  type Attachment,
  type AttachOptions,
  type ExecSession,
  type ExecSpec,
  type ExitStatus,
  type OpenFiles,
  type OutputChunk,
  type ProcessRow,
  type ProcessSpec,
  type RemoveOptions,
  type Sandbox,
  type SandboxSpec,
  type SandboxStats,
  suspendedPlace,
  type TerminalSize,
  type Wall,
  type WallFeatures,
} from "../../wall/wall.ts";

export class FakeWorld {
  readonly sandboxes = new Map<string, FakeSandbox>();
  /** Contents of workloads' files, by the workload's id and the file's path. */
  readonly contents = new Map<string, Map<string, string>>();

  filesOf(id: string): FakeFiles {
    const contents = this.contents.get(id) ?? new Map<string, string>();
    this.contents.set(id, contents);
    return new FakeFiles(contents);
  }
  /** Those that are suspended; their saved state itself is an empty file. */
  readonly suspended = new Map<string, FakeSandbox>();
}

export class FakeWall implements Wall {
  readonly kind: WallKind;
  readonly layerNames: readonly string[] = [];
  readonly #world: FakeWorld;
  unavailable: string | undefined;
  /** What it can do here is being tried, for ever. */
  trying = false;
  closed = false;

  constructor(kind: WallKind, world: FakeWorld) {
    this.kind = kind;
    this.#world = world;
  }

  features(): Promise<WallFeatures> {
    if (this.trying) return new Promise(() => undefined);
    return Promise.resolve(this.featuresSoFar());
  }

  featuresSoFar(): WallFeatures {
    if (this.trying) return { label: "vm (untried)", sharesKernel: false, warning: "not tried yet" };
    const label: WallLabel = this.kind === "vm" ? "vm (tcg)" : "container";
    return {
      label,
      sharesKernel: this.kind === "container",
      ...(this.kind === "vm" ? { warning: "emulated" } : {}),
      ...(this.unavailable === undefined ? {} : { unavailable: this.unavailable }),
    };
  }

  async create(spec: SandboxSpec): Promise<Sandbox> {
    if (this.#world.sandboxes.has(spec.id)) throw new Error("a sandbox of that id is there already");
    await mkdir(spec.runtimeDirectory, { recursive: true });
    const files = this.#world.filesOf(spec.id);
    return this.#add(new FakeSandbox(spec, files, () => this.#world.sandboxes.delete(spec.id)));
  }

  #add(sandbox: FakeSandbox): FakeSandbox {
    const { id } = sandbox.spec;
    this.#world.sandboxes.set(id, sandbox);
    if (this.kind !== "vm") return sandbox;
    return Object.assign(sandbox, {
      suspend: async () => {
        await writeFile(suspendedPlace(sandbox.spec.directory), "");
        this.#world.sandboxes.delete(id);
        this.#world.suspended.set(id, sandbox);
      },
      fork: (specs: readonly SandboxSpec[]) =>
        Promise.all(
          specs.map(async (spec) => {
            const sibling = await this.create(spec);
            await sibling.start();
            return sibling;
          }),
        ),
    });
  }

  /** Undefined for a wall that cannot save memory. */
  get revive(): ((spec: SandboxSpec) => Promise<Sandbox>) | undefined {
    if (this.kind !== "vm") return undefined;
    return async (spec) => {
      const sandbox = this.#world.suspended.get(spec.id);
      const place = suspendedPlace(spec.directory);
      if (sandbox === undefined || (await readFile(place, "utf8")) !== "")
        throw new HullError("cannotResume", { name: spec.name, why: "it is damaged" });
      await rm(place);
      this.#world.suspended.delete(spec.id);
      this.#world.sandboxes.set(spec.id, sandbox);
      return sandbox;
    };
  }

  recover(spec: SandboxSpec): Promise<Sandbox | undefined> {
    return Promise.resolve(this.#world.sandboxes.get(spec.id));
  }

  openFiles(spec: SandboxSpec): Promise<OpenFiles> {
    if (this.#world.sandboxes.has(spec.id)) throw new Error("files were opened beside a sandbox");
    const files = this.#world.filesOf(spec.id);
    return Promise.resolve({ files, [Symbol.asyncDispose]: () => Promise.resolve() });
  }

  close(): Promise<void> {
    this.closed = true;
    return Promise.resolve();
  }
}

/** One program: its output goes to everyone attached, and into the log when there is one. */
class FakeProgram {
  readonly #spec: ProcessSpec;
  readonly #logPath: string | undefined;
  readonly #attachments = new Set<FakeAttachment>();
  readonly #end = Promise.withResolvers<ExitStatus>();
  /** Input from before the start; undefined: its end. */
  readonly #early: (Uint8Array | undefined)[] = [];
  #log: Promise<void> = Promise.resolve();
  running = false;
  size: TerminalSize | undefined;

  constructor(spec: ProcessSpec, logPath: string | undefined) {
    this.#spec = spec;
    this.#logPath = logPath;
    this.#end.promise.catch(() => {});
  }

  attach(options: AttachOptions): FakeAttachment {
    const attachment = new FakeAttachment((data) => {
      if (!options.stdin || this.#spec.args[0] !== "cat") return;
      if (this.running) this.#read(data);
      else this.#early.push(data);
    });
    this.#attachments.add(attachment);
    return attachment;
  }

  #read(data: Uint8Array | undefined): void {
    if (data === undefined) this.finish(0);
    else this.write(data);
  }

  start(): void {
    const [program, ...args] = this.#spec.args;
    if (program === "missing") throw new HullError("commandNotFound", { command: program });
    this.running = true;
    if (program === "echo") {
      this.write(Buffer.from(`${args.join(" ")}\n`));
      this.finish(0);
    } else if (program === "exit") this.finish(Number(args[0] ?? "0"));
    else if (program === "lost") this.#fail(new HullError("monitorLost", { name: "it" }));
    else if (program === "cat" && !this.#spec.stdin) this.finish(0);
    for (const data of this.#early.splice(0)) this.#read(data);
  }

  write(data: Uint8Array): void {
    const chunk: OutputChunk = { stream: "stdout", data };
    const path = this.#logPath;
    if (path !== undefined) {
      const lines = formatLogLines("stdout", data, new Date().toISOString());
      this.#log = this.#log.then(() => appendFile(path, lines));
    }
    for (const attachment of this.#attachments) attachment.push(chunk);
  }

  finish(code: number, oomKilled = false): void {
    void this.#log.then(() => {
      this.running = false;
      for (const attachment of this.#attachments) attachment.close();
      this.#end.resolve({ code, oomKilled, finishedAt: Date.now() });
    });
  }

  #fail(error: HullError): void {
    this.running = false;
    for (const attachment of this.#attachments) attachment.close();
    this.#end.reject(error);
  }

  signal(signal: number): void {
    if (this.#spec.args[0] === "stubborn" && signal !== 9) return;
    this.finish(128 + signal);
  }

  wait(): Promise<ExitStatus> {
    return this.#end.promise;
  }
}

export class FakeSandbox implements Sandbox {
  readonly spec: SandboxSpec;
  readonly files: FakeFiles;
  readonly program: FakeProgram;
  readonly #forget: () => void;
  paused = false;
  /** Whether the writable layer was to go, too. */
  removedFor: "good" | "now" | undefined;

  constructor(spec: SandboxSpec, files: FakeFiles, forget: () => void) {
    this.spec = spec;
    this.files = files;
    this.program = new FakeProgram(spec.process, spec.logPath);
    this.#forget = forget;
  }

  pid(): number | undefined {
    return this.program.running ? 4242 : undefined;
  }

  start(): Promise<void> {
    return Promise.try(() => this.program.start());
  }

  attach(options: AttachOptions): Promise<Attachment> {
    return Promise.resolve(this.program.attach(options));
  }

  signal(signal: number): Promise<void> {
    this.program.signal(signal);
    return Promise.resolve();
  }

  exec(spec: ExecSpec): Promise<ExecSession> {
    return Promise.try(() => {
      const program = new FakeProgram(spec.process, undefined);
      const attachment = spec.attach ? program.attach({ stdin: spec.process.stdin }) : undefined;
      program.start();
      return {
        attachment,
        pid: 4243,
        resize: (size: TerminalSize) => {
          program.size = size;
          return Promise.resolve();
        },
        wait: () => program.wait(),
      };
    });
  }

  resize(size: TerminalSize): Promise<void> {
    this.program.size = size;
    return Promise.resolve();
  }

  pause(): Promise<void> {
    this.paused = true;
    return Promise.resolve();
  }

  resume(): Promise<void> {
    this.paused = false;
    return Promise.resolve();
  }

  stats(): Promise<SandboxStats> {
    return Promise.resolve({ memoryBytes: 1024, memoryLimitBytes: 0, cpuNanoseconds: 5, pids: 1 });
  }

  changeNetwork(): Promise<void> {
    return Promise.resolve();
  }

  processes(): Promise<ProcessRow[]> {
    return Promise.resolve([
      { pid: 1, parentPid: 0, user: "root", command: this.spec.process.args.join(" ") },
    ]);
  }

  wait(): Promise<ExitStatus> {
    return this.program.wait();
  }

  async remove({ discard }: RemoveOptions = { discard: false }): Promise<void> {
    this.removedFor = discard ? "good" : "now";
    if (this.program.running) this.program.finish(137);
    this.#forget();
    await rm(this.spec.runtimeDirectory, { recursive: true, force: true });
  }
}

class FakeAttachment implements Attachment {
  readonly #input: (data: Uint8Array | undefined) => void;
  readonly #chunks: OutputChunk[] = [];
  #closed = false;
  #wake: (() => void) | undefined;
  readonly output: AsyncIterable<OutputChunk> = this.#read();

  constructor(input: (data: Uint8Array | undefined) => void) {
    this.#input = input;
  }

  push(chunk: OutputChunk): void {
    if (!this.#closed) this.#chunks.push(chunk);
    this.#wake?.();
  }

  close(): void {
    this.#closed = true;
    this.#wake?.();
  }

  write(data: Uint8Array): Promise<void> {
    this.#input(Buffer.from(data));
    return Promise.resolve();
  }

  endInput(): Promise<void> {
    this.#input(undefined);
    return Promise.resolve();
  }

  detach(): void {
    this.close();
  }

  async *#read(): AsyncGenerator<OutputChunk> {
    for (;;) {
      const chunk = this.#chunks.shift();
      if (chunk !== undefined) yield chunk;
      else if (this.#closed) return;
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
    }
  }
}
