/**
 * Containers made by an OCI runtime (crun, or another by setting) and watched by conmon. Serves the container
 * wall, whose workloads they are, and the vm wall, whose QEMU runs in one.
 *
 * Life cycle:
 *
 *   create -> (attach)* -> start -> (signal | exec | resize | pause/resume | attach)* -> wait -> delete
 *
 * - `create` writes `config.json` into the bundle directory and returns with the container's first process
 *   waiting for `start`. Of a failed attempt nothing is left but the bundle directory. The runtime looks the
 *   program up here already, so `commandNotFound` and the like are thrown by `create`.
 * - `start` runs the program, once.
 * - `wait` resolves when the process has ended and its output is in the log; it rejects with `monitorLost` when
 *   conmon died first. A monitor's death is noticed at once by the daemon that started it, and within a second
 *   by one that found it.
 * - `delete` ends whatever still runs, takes the container and its control group away and empties the bundle
 *   directory. Idempotent, in every state.
 * - `recover` finds a container of an earlier daemon by its bundle directory: running, ended, or lost.
 *
 * Containers and exec sessions outlive the daemon; a session's attachment does not.
 *
 * Everything of one container lies in its bundle directory: config.json, pid, conmon.pid, attach (socket), ctl
 * (fifo for the terminal's size), exit/ID (exit code), exec/ID/ (the same for each exec session).
 */
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { HullError } from "../../contract/errors.ts";
import {
  type CgroupLayout,
  cgroupProcesses,
  detectCgroupLayout,
  readCgroupUsage,
} from "../../host/cgroup.ts";
import { expectCgroupMove } from "../../host/cgroup-move.ts";
import { proportionalBytes } from "../../host/memory-use.ts";
import { identifyProcess, isRunning, type ProcessIdentity, signalProcess } from "../../host/process.ts";
import { type RunResult, run } from "../../host/spawn.ts";
import { errnoNameOf, explainWriteError } from "../../host/system-error.ts";
import type { Attachment, AttachOptions, ExecSession, ExitStatus, TerminalSize } from "../wall.ts";
import { type ConnectedAttachment, endedAttachment, openAttachment } from "./attachment.ts";
import type { OciConfig, OciProcess } from "./config.ts";
import { CompiledFilters, deleteEnded, isCrun, startByFifo } from "./crun.ts";
import { execInContainer } from "./exec.ts";
import {
  attachSocketOf,
  findMonitor,
  findMonitors,
  type MonitoredEnd,
  type MonitorPrograms,
  RuntimeRefusal,
  readPidFile,
  startMonitor,
  watchMonitor,
  writeTerminalSize,
} from "./monitor.ts";
import type { ContainerExecOptions, ContainerOptions, OciRuntimeOptions } from "./options.ts";
import { explainRuntimeFailure, type FailureContext } from "./runtime-error.ts";

export type { ContainerExecOptions, ContainerOptions, OciRuntimeOptions } from "./options.ts";

export class OciRuntime {
  readonly options: OciRuntimeOptions;
  readonly #isCrun: boolean;
  readonly #filters = new CompiledFilters();
  #layout: CgroupLayout | undefined;

  constructor(options: OciRuntimeOptions) {
    this.options = options;
    this.#isCrun = isCrun(options.runtime);
  }

  get cgroups(): CgroupLayout {
    this.#layout ??= detectCgroupLayout();
    return this.#layout;
  }

  get programs(): MonitorPrograms {
    const { conmon, runtime, runtimeRoot } = this.options;
    return { conmon, runtime, runtimeArgs: [`--root=${runtimeRoot}`] };
  }

  /** A container will be made in a moment: what the kernel needs most time for can begin. */
  expect(): void {
    void expectCgroupMove(this.cgroups);
  }

  /** Runs one of the runtime's commands. */
  command(...args: string[]): Promise<RunResult> {
    const { runtime, runtimeArgs } = this.programs;
    return run([runtime, ...runtimeArgs, ...args]);
  }

  /** Starts a created container. Throws what the runtime says. */
  async start(options: ContainerOptions): Promise<void> {
    if (this.#isCrun && startByFifo(this.#stateDirectory(options.id))) return;
    const result = await this.command("start", options.id);
    if (result.code !== 0)
      throw explainRuntimeFailure(result.stderr, failureContext(options, { args: [], cwd: "" }));
  }

  async create(config: OciConfig, options: ContainerOptions): Promise<OciContainer> {
    await using undo = new AsyncDisposableStack();
    undo.defer(() => this.#discard(options));
    this.#writeBundle(this.#isCrun ? this.#filters.apply(config) : config, options);
    try {
      const monitor = await startMonitor({
        ...this.programs,
        directory: options.bundle,
        containerId: options.id,
        logPath: options.logPath,
        ...(options.logLimit === undefined ? {} : { logLimit: options.logLimit }),
        terminal: options.terminal,
        stdin: options.stdin,
        leaveStdinOpen: !options.stdinOnce,
        preserveDescriptors: options.preserveDescriptors ?? [],
      });
      if (this.#isCrun) this.#filters.learn(config, this.#stateDirectory(options.id));
      const container = new OciContainer(this, options, identifyProcess(monitor.pid), monitor.ended);
      undo.move();
      return container;
    } catch (error) {
      if (!(error instanceof RuntimeRefusal)) throw error;
      throw explainRuntimeFailure(error.message, failureContext(options, config.process));
    }
  }

  /** What there is of a container; undefined when its bundle directory does not exist. */
  recover(options: ContainerOptions): OciContainer | undefined {
    if (!existsSync(`${options.bundle}/config.json`)) return undefined;
    return new OciContainer(
      this,
      options,
      this.#findProcess(options),
      watchMonitor(options.bundle, options.id),
    );
  }

  /** Ends and takes away all that there is of a container, known or not. */
  async delete(options: Discarded): Promise<void> {
    await this.#discard(options);
    rmSync(options.bundle, { recursive: true, force: true });
  }

  /** A few small files in memory: doing it at once is faster than handing each to another thread. */
  #writeBundle(config: OciConfig, options: ContainerOptions): void {
    try {
      // What an earlier run left must not be taken for the end of this one.
      for (const name of ["exit", "exec", "oom", "pid", "conmon.pid"])
        rmSync(`${options.bundle}/${name}`, { recursive: true, force: true });
      mkdirSync(options.bundle, { recursive: true, mode: 0o700 });
      writeFileSync(`${options.bundle}/config.json`, JSON.stringify(config), { mode: 0o600 });
    } catch (error) {
      throw explainWriteError(error, "the container's configuration", options.bundle);
    }
  }

  /** The container's first process, known by its control group: a pid file alone could name a stranger. */
  #findProcess(options: ContainerOptions): ProcessIdentity | undefined {
    const pid = readPidFile(`${options.bundle}/pid`);
    if (pid === undefined || !cgroupProcesses(this.cgroups, options.cgroup).includes(pid)) return undefined;
    return identifyProcess(pid);
  }

  async #discard(options: Discarded): Promise<void> {
    for (const deadline = Date.now() + monitorPatience; ; await Bun.sleep(pollInterval)) {
      const monitors = findMonitors(options.bundle, options.id);
      // Without a pid file, the monitor of a daemon that has died may still be about to make the container.
      if (monitors.length === 0 || existsSync(`${options.bundle}/pid`)) await this.#deleteContainer(options);
      if (monitors.length === 0) return;
      if (Date.now() >= deadline) for (const monitor of monitors) signalProcess(monitor, 9);
    }
  }

  async #deleteContainer(options: Discarded): Promise<void> {
    const state = this.#stateDirectory(options.id);
    if (!existsSync(state) || (this.#isCrun && this.#deleteEnded(options, state))) return;
    const result = await this.command("delete", "--force", options.id);
    if (result.code === 0 || !existsSync(state)) return;
    throw new HullError("internal", {
      what: `the OCI runtime could not delete container ${options.id}: ${result.stderr.trim()}`,
    });
  }

  /** Without a process of crun's, if the container has ended. */
  #deleteEnded(options: Discarded, state: string): boolean {
    if (cgroupProcesses(this.cgroups, options.cgroup).length > 0) return false;
    return deleteEnded(state, this.cgroups, options.cgroup);
  }

  #stateDirectory(id: string): string {
    return `${this.options.runtimeRoot}/${id}`;
  }
}

/** Milliseconds that a monitor gets to write its last once its container is gone, and to make one. */
const monitorPatience = 2000;
const pollInterval = 2;

/** Processes whose memory is looked at: each costs some time. */
const mostMeasured = 256;

type Discarded = Pick<ContainerOptions, "id" | "bundle" | "cgroup">;

export class OciContainer {
  readonly options: ContainerOptions;
  readonly #runtime: OciRuntime;
  readonly #process: ProcessIdentity | undefined;
  readonly #ended: Promise<MonitoredEnd>;
  readonly #attachments = new Set<ConnectedAttachment>();
  #exit: Promise<ExitStatus> | undefined;
  #hasEnded = false;

  constructor(
    runtime: OciRuntime,
    options: ContainerOptions,
    process: ProcessIdentity | undefined,
    ended: Promise<MonitoredEnd>,
  ) {
    this.#runtime = runtime;
    this.options = options;
    this.#process = process;
    this.#ended = ended;
    void ended.then(() => {
      this.#hasEnded = true;
    });
  }

  /** The first process, as numbered on the host; undefined once it has ended. */
  pid(): number | undefined {
    return this.#process !== undefined && isRunning(this.#process) ? this.#process.pid : undefined;
  }

  start(): Promise<void> {
    return this.#runtime.start(this.options);
  }

  async attach(options: AttachOptions): Promise<Attachment> {
    if (this.#hasEnded) return endedAttachment;
    const socket = attachSocketOf(this.options.bundle);
    const { stdin, stdinOnce } = this.options;
    const writes = options.stdin && stdin;
    let attachment: ConnectedAttachment;
    try {
      attachment = await openAttachment(socket, {
        stdin: writes,
        lingerAfterDetach: stdin && stdinOnce && !writes,
      });
    } catch (error) {
      // The monitor is gone; whether with an exit code is for `wait` to say.
      if (["ENOENT", "ECONNREFUSED"].includes(errnoNameOf(error) ?? "")) return endedAttachment;
      throw error;
    }
    this.#attachments.add(attachment);
    void attachment.closed.then(() => this.#attachments.delete(attachment));
    return attachment;
  }

  /** What all of its processes cost the host, the monitor included; undefined if they are too many to ask. */
  async proportionalBytes(): Promise<number | undefined> {
    const { cgroup, bundle, id } = this.options;
    const pids = cgroupProcesses(this.#runtime.cgroups, cgroup);
    if (pids.length > mostMeasured) return undefined;
    const monitor = findMonitor(bundle, id);
    return proportionalBytes(monitor === undefined ? pids : [...pids, monitor.pid]);
  }

  /** Sends a signal to the first process; without effect once it has ended. */
  signal(signal: number): boolean {
    return this.#process !== undefined && signalProcess(this.#process, signal);
  }

  exec(options: ContainerExecOptions): Promise<ExecSession> {
    this.#runtime.expect();
    return execInContainer(this.#runtime.programs, this.options, options);
  }

  async resize(size: TerminalSize): Promise<void> {
    writeTerminalSize(this.options.bundle, size.rows, size.columns);
  }

  pause(): Promise<void> {
    return this.#freeze("pause");
  }

  resume(): Promise<void> {
    return this.#freeze("resume");
  }

  wait(): Promise<ExitStatus> {
    this.#exit ??= this.#awaitExit();
    return this.#exit;
  }

  async delete(): Promise<void> {
    // conmon may be blocked in a write to an attachment that nobody reads; it has to see the end of it. Once conmon
    // has gone its last packets still wait in the sockets, and an attachment ends when they have been read.
    if (!this.#hasEnded) for (const attachment of this.#attachments) attachment.close();
    await this.#runtime.delete(this.options);
  }

  async #freeze(command: "pause" | "resume"): Promise<void> {
    const result = await this.#runtime.command(command, this.options.id);
    if (result.code === 0) return;
    throw new HullError("internal", {
      what: `the OCI runtime could not ${command} container ${this.options.name}: ${result.stderr.trim()}`,
    });
  }

  async #awaitExit(): Promise<ExitStatus> {
    const end = await this.#ended;
    if (end === undefined) throw new HullError("monitorLost", { name: this.options.name });
    const usage = readCgroupUsage(this.#runtime.cgroups, this.options.cgroup);
    // conmon notes an out-of-memory event as well, which is all there is once the group is gone.
    const oomKilled = usage === undefined ? existsSync(`${this.options.bundle}/oom`) : usage.oomKills > 0;
    return { code: end.code, oomKilled, finishedAt: end.finishedAt };
  }
}

function failureContext(
  options: ContainerOptions,
  process: Pick<OciProcess, "args" | "cwd">,
): FailureContext {
  return {
    name: options.name,
    wall: options.wall,
    command: process.args[0] ?? "",
    cwd: process.cwd,
    user: options.user,
  };
}
