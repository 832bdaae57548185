/** What the conformance suite makes sandboxes with, and reads their output by. */
import { expect } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isHullError } from "../../contract/errors.ts";
import { parseLogLine } from "../log.ts";
import type {
  Attachment,
  ExecSpec,
  ExitStatus,
  OpenFiles,
  ProcessRow,
  ProcessSpec,
  Sandbox,
  SandboxSpec,
  Wall,
} from "../wall.ts";

/** What a suite's run varies of a spec. */
export interface SpecChanges {
  readonly process?: Partial<ProcessSpec>;
  readonly readOnlyRoot?: boolean;
  readonly hostname?: string;
  readonly resources?: Partial<SandboxSpec["resources"]>;
}

export interface WallUnderTest {
  /** A wall on the same directories as all others that this function returns, as a new daemon makes it. */
  readonly makeWall: () => Wall | Promise<Wall>;
  /** EROFS files of the image under test, bottom first. */
  readonly layers: () => readonly string[];
  /** Most time one test takes; a virtual machine under emulation is slow. */
  readonly timeout: number;
  /** Ends the workload's monitor, as a crash of it would; undefined: not tested. */
  readonly killMonitor?: (sandbox: Sandbox) => void;
  /** A wall that only imitates has no kernel: what needs one is left out. */
  readonly hasKernel: boolean;
  /** Whether it can save the memory of workloads. */
  readonly savesMemory?: boolean;
}

interface Outcome {
  readonly stdout: string;
  readonly stderr: string;
  readonly bytes: Buffer;
  readonly status: ExitStatus;
}

/** Defines one test, and takes away what it leaves. */
export type DefinePromise = (title: string, body: () => Promise<void>) => void;

export const sigkill = 9;
export const sigterm = 15;
export const sighup = 1;

/** Prints the terminal's size again and again until a line is entered. */
export const reportSizes = "while ! read -t 0.05 line; do stty size; done; exit 9";

/** Makes sandboxes for tests and takes away what they leave. */
export class Bench {
  readonly #subject: WallUnderTest;
  readonly #sandboxes = new Map<string, Sandbox>();
  #directory = "";
  #wall: Wall | undefined;

  constructor(subject: WallUnderTest) {
    this.#subject = subject;
  }

  async open(): Promise<void> {
    this.#directory = mkdtempSync(join(tmpdir(), "wall-"));
    this.#wall = await this.#subject.makeWall();
  }

  async close(): Promise<void> {
    await this.removeAll();
    await this.#wall?.close();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  get wall(): Wall {
    if (this.#wall === undefined) throw new Error("the suite is not open");
    return this.#wall;
  }

  /** Has a sandbox taken away with the others. */
  keep(sandbox: Sandbox): Sandbox {
    this.#sandboxes.set(sandbox.spec.id, sandbox);
    return sandbox;
  }

  /** A wall as a new daemon makes it. */
  async otherWall(): Promise<Wall & AsyncDisposable> {
    const wall = await this.#subject.makeWall();
    return Object.assign(wall, { [Symbol.asyncDispose]: () => wall.close() });
  }

  spec(changes: SpecChanges): SandboxSpec {
    const id = Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("hex");
    const directory = join(this.#directory, id.slice(0, 8));
    mkdirSync(directory, { recursive: true });
    return {
      id,
      name: id.slice(0, 12),
      directory,
      runtimeDirectory: join(this.#directory, `r${id.slice(0, 8)}`),
      layers: this.#subject.layers(),
      process: processSpec(changes.process ?? {}),
      hostname: changes.hostname ?? "tiny",
      readOnlyRoot: changes.readOnlyRoot ?? false,
      resources: { memoryBytes: 0, cpus: 0, pids: 0, ...changes.resources },
      logPath: join(directory, "log"),
    };
  }

  async createdWith(changes: SpecChanges): Promise<Sandbox> {
    return this.#create(this.spec(changes));
  }

  created(script: string, process: Partial<ProcessSpec> = {}): Promise<Sandbox> {
    return this.createdWith({ process: { ...shell(script), ...process } });
  }

  async started(script: string, process: Partial<ProcessSpec> = {}): Promise<Sandbox> {
    const sandbox = await this.created(script, process);
    await sandbox.start();
    return sandbox;
  }

  /** A started sandbox and a reader that was attached before. */
  async attached(
    script: string,
    process: Partial<ProcessSpec> = {},
    resources: Partial<SandboxSpec["resources"]> = {},
  ): Promise<{ readonly sandbox: Sandbox; readonly text: TextReader; readonly attachment: Attachment }> {
    const sandbox = await this.createdWith({ process: { ...shell(script), ...process }, resources });
    const attachment = await sandbox.attach({ stdin: process.stdin ?? false });
    const text = new TextReader(attachment);
    await sandbox.start();
    return { sandbox, text, attachment };
  }

  run(script: string): Promise<Outcome> {
    return this.runWith({ process: shell(script) });
  }

  runWith(changes: SpecChanges): Promise<Outcome> {
    return this.runSpec(this.spec(changes));
  }

  async runSpec(spec: SandboxSpec): Promise<Outcome> {
    const sandbox = await this.#create(spec);
    const output = collect(await sandbox.attach({ stdin: false }));
    await sandbox.start();
    const status = await sandbox.wait();
    const { stdout, stderr } = await output;
    return { stdout: stdout.toString(), stderr: stderr.toString(), bytes: stdout, status };
  }

  async exec(sandbox: Sandbox, script: string, process: Partial<ProcessSpec> = {}): Promise<Outcome> {
    const session = await sandbox.exec(execSpec(script, process));
    if (session.attachment === undefined) throw new Error("an attached exec has no attachment");
    const { stdout, stderr } = await collect(session.attachment);
    const status = await session.wait();
    return { stdout: stdout.toString(), stderr: stderr.toString(), bytes: stdout, status };
  }

  /** What a sandbox has written to standard output, once it has ended. */
  logOf(sandbox: Sandbox): () => string {
    return () => readLog(sandbox.spec.logPath).stdout.toString();
  }

  openFiles(spec: SandboxSpec): Promise<OpenFiles> {
    if (this.#wall === undefined) throw new Error("the suite is not open");
    return this.#wall.openFiles(spec);
  }

  async recovers(spec: SandboxSpec): Promise<boolean> {
    await using wall = await this.otherWall();
    const sandbox = await wall.recover(spec);
    return sandbox !== undefined;
  }

  async remove(spec: SandboxSpec): Promise<void> {
    await this.#sandboxes.get(spec.id)?.remove();
    this.#sandboxes.delete(spec.id);
  }

  async removeAll(): Promise<void> {
    await Promise.all([...this.#sandboxes.values()].map((sandbox) => sandbox.remove()));
    this.#sandboxes.clear();
  }

  /** Waits until the log has this standard output. */
  async untilLogged(sandbox: Sandbox, output: string): Promise<void> {
    while (readLog(sandbox.spec.logPath).stdout.toString() !== output) await Bun.sleep(10);
  }

  /** Waits until a script has started `count` processes of this command; returns all processes, in order. */
  async untilProcesses(sandbox: Sandbox, command: string, count: number): Promise<ProcessRow[]> {
    for (;;) {
      const rows = (await sandbox.processes()).toSorted((left, right) => left.pid - right.pid);
      if (rows.filter((row) => row.command === command).length >= count) return rows;
      await Bun.sleep(10);
    }
  }

  /** Gives output time to pile up, or attachments to be taken. Nothing depends on how long it is. */
  settle(): Promise<void> {
    return Bun.sleep(50);
  }

  async #create(spec: SandboxSpec): Promise<Sandbox> {
    return this.keep(await this.wall.create(spec));
  }
}

/** Reads an attachment as text that arrives by and by. */
export class TextReader {
  #text = "";
  #ended = false;
  #wake: (() => void) | undefined;

  constructor(attachment: Attachment) {
    void this.#read(attachment);
  }

  get length(): number {
    return this.#text.length;
  }

  /** Waits for a text; fails when the output ends without it. */
  async until(wanted: string): Promise<void> {
    while (!this.#text.includes(wanted)) {
      if (this.#ended) throw new Error(`the output ended without ${JSON.stringify(wanted)}: ${this.#text}`);
      await this.#change();
    }
  }

  async more(than: number): Promise<void> {
    while (this.#text.length <= than && !this.#ended) await this.#change();
    expect(this.#text.length).toBeGreaterThan(than);
  }

  /** Waits until what was under way has arrived. */
  async quiet(): Promise<void> {
    for (let before = -1; before !== this.#text.length; await Bun.sleep(60)) before = this.#text.length;
  }

  async #read(attachment: Attachment): Promise<void> {
    for await (const { data } of attachment.output) {
      this.#text += Buffer.from(data).toString("utf8");
      this.#wake?.();
    }
    this.#ended = true;
    this.#wake?.();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}

export async function collect(
  attachment: Attachment,
): Promise<{ readonly stdout: Buffer; readonly stderr: Buffer }> {
  const parts = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
  for await (const { stream, data } of attachment.output) parts[stream].push(data);
  return { stdout: Buffer.concat(parts.stdout), stderr: Buffer.concat(parts.stderr) };
}

export function readLog(path: string): { readonly stdout: Buffer; readonly stderr: Buffer } {
  const file = readFileSync(path);
  const parts = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
  let start = 0;
  for (let end = file.indexOf(10); end >= 0; end = file.indexOf(10, start)) {
    const line = parseLogLine(file.subarray(start, end));
    if (line === undefined)
      throw new Error(`not a line of a log: ${file.subarray(start, end).toString("latin1")}`);
    parts[line.stream].push(line.data);
    start = end + 1;
  }
  expect(start).toBe(file.length);
  return { stdout: Buffer.concat(parts.stdout), stderr: Buffer.concat(parts.stderr) };
}

export function shell(script: string): Pick<ProcessSpec, "args"> {
  return { args: ["sh", "-c", script] };
}

export function processSpec(changes: Partial<ProcessSpec>): ProcessSpec {
  return {
    args: ["sh"],
    env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
    cwd: "/",
    user: "",
    capabilities: [
      "CAP_CHOWN",
      "CAP_DAC_OVERRIDE",
      "CAP_FOWNER",
      "CAP_KILL",
      "CAP_SETGID",
      "CAP_SETUID",
      "CAP_NET_RAW",
    ],
    terminal: false,
    stdin: false,
    stdinOnce: false,
    ...changes,
  };
}

export function execSpec(script: string, process: Partial<ProcessSpec>): ExecSpec {
  return {
    id: Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("hex"),
    process: processSpec({ ...shell(script), ...process }),
    attach: true,
  };
}

export async function errorCodeOf(attempt: Promise<unknown>): Promise<string> {
  try {
    await attempt;
    return "none";
  } catch (error) {
    if (isHullError(error)) return error.code;
    throw error;
  }
}

export function busyboxPath(): string {
  const path = Bun.which("busybox");
  if (path === null) throw new Error("tests need busybox-static: run ./setup");
  return path;
}
