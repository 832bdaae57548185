/**
 * One VM: QEMU in its jail, the connection to the agent, the workload's log and attachments.
 *
 * What happens without a daemon: QEMU and the workload run on; the agent keeps the output that is in no log yet
 * (one window of each stream, then the workload waits) and the exit. `recover` makes a sandbox that takes up
 * from there.
 */

import { rm } from "node:fs/promises";
import { constants } from "node:os";
import { HullError, isHullError, messageOf } from "../../contract/errors.ts";
import { readCgroupUsage } from "../../host/cgroup.ts";
import { FilesByProcess, type FilesProcess } from "../files/files-by-process.ts";
import { mountedTargets } from "../mounted-targets.ts";
import type {
  Attachment,
  AttachOptions,
  ExecSession,
  ExecSpec,
  ExitStatus,
  NetworkChange,
  ProcessRow,
  RemoveOptions,
  Sandbox,
  SandboxSpec,
  SandboxStats,
  TerminalSize,
} from "../wall.ts";
import type { AgentConnection } from "./agent.ts";
import type { AgentProcess } from "./agent-process.ts";
import { AttachmentSet } from "./attachment.ts";
import { consoleTail } from "./console.ts";
import { execInVm } from "./exec.ts";
import { readExit, writeExit } from "./exit-record.ts";
import { explainAgent, explainSave, explainStart } from "./failures.ts";
import { FieldWriter } from "./fields.ts";
import { startFilesInVm } from "./files.ts";
import { GuestLink } from "./guest-link.ts";
import { jailCgroup, jailId } from "./layout.ts";
import { MainInput } from "./main-input.ts";
import { MainOutput } from "./main-output.ts";
import { countLogged } from "./output-log.ts";
import { phases, verbs } from "./protocol.ts";
import { type Ask, askProcessCount, askProcesses, tellNetwork } from "./questions.ts";
import type { SandboxParts } from "./sandbox-parts.ts";
import type { LiveMachine } from "./saved/hold.ts";
import { exitStatusOf, startBody, startTimeout } from "./start.ts";
import { whileWriting } from "./write-back.ts";

const mainHandle = 0;
const nothing = (): void => undefined;
/** Milliseconds that an orderly end may take, and that writing back to a slow disk may. */
const endTimeout = 10_000;
const shutDownTimeout = 150_000;
const killTimeout = 20_000;
/** Milliseconds that the end of a QEMU that was killed may take. */
const killPatience = 2_000;

export class VmSandbox implements Sandbox {
  readonly spec: SandboxSpec;
  readonly files: FilesByProcess;
  readonly #parts: SandboxParts;
  readonly #output: MainOutput;
  readonly #attachments = new AttachmentSet();
  readonly #process = Promise.withResolvers<AgentProcess>();
  readonly #exit = Promise.withResolvers<ExitStatus>();
  readonly #gone = Promise.withResolvers<void>();
  readonly #input: MainInput;
  readonly #guest: GuestLink;
  #running: AgentProcess | undefined;
  #ended = false;
  #letGo = false;
  #shutDown: Promise<void> = Promise.resolve();

  constructor(parts: SandboxParts) {
    this.spec = parts.spec;
    this.#parts = parts;
    const { name, mounts = [] } = parts.spec;
    this.files = new FilesByProcess({
      name,
      mounts: mountedTargets(mounts, true),
      start: () => this.#startFiles(),
    });
    this.#output = new MainOutput(parts.spec.logPath, this.#attachments, (why) => this.#lose(why));
    const { monitorSocket } = parts.layout;
    this.#guest = new GuestLink({ name, monitorSocket, hasEnded: () => this.#ended });
    this.#input = new MainInput(this.#process.promise, parts.spec.process.stdinOnce);
    this.#exit.promise.catch(() => undefined);
    this.#process.promise.catch(() => undefined);
    if (parts.exit !== undefined) this.#finish(parts.exit);
    else void this.#watchJail();
  }

  /** Resolves when it has been taken away. */
  get gone(): Promise<void> {
    return this.#gone.promise;
  }

  pid(): number | undefined {
    return this.#ended ? undefined : this.#parts.container?.pid();
  }

  /** Gives the sandbox its connection; for a workload that runs already, takes up its streams. */
  connect(connection: Promise<AgentConnection>): void {
    const connected = connection.then(async (agent) => {
      await this.#connected(agent);
      return agent;
    });
    connected.catch((error: unknown) => this.#lose(`the agent ${messageOf(error)}`));
    this.#guest.connect(connected);
  }

  /** The VM was found paused: its agent can be asked nothing until `resume`, which connects by `connect`. */
  foundPaused(connect: () => Promise<AgentConnection>): void {
    this.#guest.foundPaused(() => this.connect(connect()));
  }

  async start(): Promise<void> {
    const agent = await this.#guest.agent();
    const { process, name } = this.spec;
    const fields = new FieldWriter().u32(mainHandle).bytes(startBody(process));
    const main = agent.addMain((chunks) => this.#output.take(chunks));
    try {
      await agent.request(verbs.start, fields, startTimeout);
    } catch (error) {
      agent.drop(main);
      throw explainStart(error, name, process);
    }
    this.#follow(agent, main);
    this.#parts.watch?.("started");
  }

  attach(options: AttachOptions): Promise<Attachment> {
    const writes = options.stdin && this.spec.process.stdin;
    return Promise.resolve(this.#attachments.add(writes ? this.#input.attachment() : undefined));
  }

  async signal(signal: number): Promise<void> {
    const kill = signal === constants.signals.SIGKILL;
    // A frozen guest would never see it, and being killed is what ends a frozen workload.
    if (kill && this.#guest.isPaused) await this.resume();
    const fields = new FieldWriter().u32(mainHandle).u32(signal);
    try {
      await this.#guest.request(verbs.signal, fields, nothing, kill ? killTimeout : undefined);
    } catch (error) {
      if (!kill || isHullError(error, "workloadNotRunning")) throw error;
      // A guest that no longer listens is ended with its machine.
      this.#parts.container?.signal(constants.signals.SIGKILL);
    }
  }

  async exec(spec: ExecSpec): Promise<ExecSession> {
    const agent = await this.#guest.agent();
    if (this.#running === undefined || this.#ended)
      throw new HullError("workloadNotRunning", { name: this.spec.name });
    return execInVm(agent, spec, this.spec.name);
  }

  async resize(size: TerminalSize): Promise<void> {
    await this.#guest.request(
      verbs.resize,
      new FieldWriter().u32(mainHandle).u16(size.columns).u16(size.rows),
      nothing,
    );
  }

  pause(): Promise<void> {
    return this.#guest.pause();
  }

  resume(): Promise<void> {
    return this.#guest.resume();
  }

  async #startFiles(): Promise<FilesProcess> {
    const release = await this.#guest.awake();
    try {
      return await startFilesInVm(await this.#guest.open(), this.spec.name, release);
    } catch (error) {
      release();
      throw error;
    }
  }

  async suspend(): Promise<void> {
    const { machine } = await this.#liveMachine("suspend");
    const { state, saver, spec } = this.#parts;
    try {
      await saver.suspend(machine, state);
    } catch (error) {
      throw explainSave("cannotSuspend", spec.name, error);
    }
    // The machine has nothing left to say: its state is on the disk.
    this.#parts.container?.signal(constants.signals.SIGKILL);
    await this.#discard();
  }

  async fork(specs: readonly SandboxSpec[]): Promise<Sandbox[]> {
    const { machine, main } = await this.#liveMachine("fork");
    const { state, saver, spec } = this.#parts;
    try {
      return await saver.fork(machine, state, specs, main.received);
    } catch (error) {
      throw explainSave("cannotFork", spec.name, error);
    }
  }

  async stats(): Promise<SandboxStats> {
    const { runtime, container } = this.#parts;
    const { memoryBytes } = this.#parts.state;
    const usage = container && readCgroupUsage(runtime.cgroups, container.options.cgroup);
    if (usage === undefined || this.#ended)
      throw new HullError("workloadNotRunning", { name: this.spec.name });
    const proportionalBytes = (await container?.proportionalBytes()) ?? usage.memoryBytes;
    const pids = this.#guest.isPaused ? 0 : await askProcessCount(this.#ask);
    return {
      memoryBytes: proportionalBytes,
      proportionalBytes,
      memoryLimitBytes: memoryBytes,
      cpuNanoseconds: usage.cpuNanoseconds,
      pids,
    };
  }

  async changeNetwork(change: NetworkChange): Promise<void> {
    const pid = this.pid();
    if (pid === undefined) throw new HullError("workloadNotRunning", { name: this.spec.name });
    await tellNetwork(this.#ask, pid, change);
  }

  processes(): Promise<ProcessRow[]> {
    return askProcesses(this.#ask);
  }

  wait(): Promise<ExitStatus> {
    return this.#exit.promise;
  }

  async remove({ discard }: RemoveOptions = { discard: false }): Promise<void> {
    const { container, spec } = this.#parts;
    this.#attachments.end();
    // What was written to a volume through a mapping is the host's only once the guest has written it back.
    const keepsNothing = discard && !spec.mounts?.some(({ type }) => type === "bind");
    if (container?.pid() !== undefined) {
      if (!keepsNothing) await this.#endInOrder();
      container.signal(constants.signals.SIGKILL);
      // What has ended is taken away without a process of the runtime's.
      await Promise.race([container.wait().catch(nothing), Bun.sleep(killPatience)]);
    }
    this.#exit.reject(new HullError("vmLost", { name: spec.name, why: "it was removed" }));
    await this.#discard();
  }

  async #discard(): Promise<void> {
    const { container, runtime, layout, spec } = this.#parts;
    this.#attachments.end();
    this.letGo();
    const jail = container?.options ?? {
      id: jailId(spec.id),
      bundle: layout.bundle,
      cgroup: jailCgroup(spec.id),
    };
    await runtime.delete(jail);
    for (const path of [spec.runtimeDirectory, layout.layers])
      await rm(path, { recursive: true, force: true });
    this.#gone.resolve();
  }

  /** Has the agent write everything to the disk and end, of a machine whose workload was never started. */
  async shutDown(): Promise<void> {
    const agent = await this.#guest.open();
    try {
      await agent.request(verbs.shutDown, new FieldWriter(), shutDownTimeout);
    } catch (error) {
      throw explainAgent(error, this.spec.name);
    }
  }

  /** Lets the connection go; the VM runs on. */
  letGo(): void {
    this.#letGo = true;
    this.#output.letGo();
    this.#guest.letGo();
  }

  /** Ends the workload and lets the agent write the disk back, if it still answers. */
  async #endInOrder(): Promise<void> {
    if (!this.#ended && this.#running !== undefined && this.#guest.isConnected) {
      await this.signal(constants.signals.SIGKILL).catch(() => undefined);
      await Promise.race([this.#exit.promise.catch(() => undefined), Bun.sleep(endTimeout)]);
    }
    if (this.#ended) await this.#shutDown;
  }

  async #connected(agent: AgentConnection): Promise<void> {
    void agent.closed.then((reason) => {
      // The end of QEMU closes the connection, too: what that means is for whoever watches the jail to say.
      if (reason.fault) this.#lose(`the agent ${reason.message}`);
    });
    const { phase } = agent.welcome;
    if (phase !== phases.running && phase !== phases.ended) return;
    const { process, logPath } = this.spec;
    const { logStart, logOffset } = this.#parts.state;
    const [stdout, stderr] = await countLogged(logPath, logStart);
    const taken: [number, number] = [logOffset[0] + stdout, logOffset[1] + stderr];
    const main = agent.resumeMain((chunks) => this.#output.take(chunks), taken);
    this.#follow(agent, main);
    // The attachment that wrote went with the daemon that held it.
    if (process.stdinOnce && agent.welcome.inputOffset > 0) void main.endInput();
  }

  #follow(agent: AgentConnection, main: AgentProcess): void {
    this.#running = main;
    this.#process.resolve(main);
    main.exit.then(
      async (exit) => {
        const status = exitStatusOf(exit);
        const recorded = await writeExit(this.#parts.layout.exit, status);
        this.#finish(status);
        this.#parts.watch?.("ended");
        // Otherwise the agent is the only one who can tell the next daemon.
        if (recorded) this.#shutDown = this.#powerOff(agent);
      },
      () => undefined,
    );
  }

  async #powerOff(agent: AgentConnection): Promise<void> {
    const { container, layout } = this.#parts;
    const asked = agent.request(verbs.shutDown, new FieldWriter(), shutDownTimeout);
    await whileWriting(
      layout.disks,
      asked.catch(nothing).then(() => container?.wait()),
    );
    if (!this.#letGo) container?.signal(constants.signals.SIGKILL);
  }

  #finish(status: ExitStatus): void {
    this.#ended = true;
    this.#output.close();
    this.#attachments.end();
    this.#process.reject(new HullError("workloadNotRunning", { name: this.spec.name }));
    this.#exit.resolve(status);
  }

  async #watchJail(): Promise<void> {
    const { container, layout } = this.#parts;
    await container?.wait().catch(() => undefined);
    // QEMU may have outlived the one who watched it.
    while (container?.pid() !== undefined && !this.#letGo) await Bun.sleep(1000);
    // The agent's last words may still be on their way.
    const agent = await this.#guest.connection;
    if (agent !== undefined) await Promise.race([agent.closed, Bun.sleep(1000)]);
    await Bun.sleep(0);
    if (this.#ended) return;
    // Another sandbox of this process may have taken the connection over, and with it the exit.
    const exit = readExit(layout.exit);
    if (exit === undefined) this.#lose("QEMU ended");
    else this.#finish(exit);
  }

  #lose(why: string): void {
    if (this.#ended || this.#letGo) return;
    const { container, layout } = this.#parts;
    const tail = consoleTail(layout.console);
    const error = new HullError("vmLost", {
      name: this.spec.name,
      why: tail === "" ? why : `${why}; its console's last words: ${tail}`,
    });
    container?.signal(constants.signals.SIGKILL);
    this.#ended = true;
    this.#output.close();
    this.#attachments.end();
    this.#process.reject(error);
    this.#exit.reject(error);
  }

  async #liveMachine(what: string): Promise<{ machine: LiveMachine; main: AgentProcess }> {
    const { spec, layout, container, state } = this.#parts;
    if (spec.mounts?.some(({ type }) => type === "bind"))
      throw new HullError("unsupported", {
        what,
        where: ` for container ${spec.name}`,
        why: "it has volumes or binds, and QEMU cannot save what it serves of the host's files",
      });
    const agent = await this.#guest.agent();
    const main = this.#running;
    if (container === undefined || main === undefined || this.#ended)
      throw new HullError("workloadNotRunning", { name: spec.name });
    return { machine: { spec, layout, container, memoryBytes: state.memoryBytes, agent }, main };
  }

  readonly #ask: Ask = (verb, fields, read) => this.#guest.request(verb, fields, read);
}
