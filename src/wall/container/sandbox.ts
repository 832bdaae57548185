/** One container, as the wall's contract has it. */
import { rmSync, writeFileSync } from "node:fs";
import { HullError } from "../../contract/errors.ts";
import { cgroupProcesses, readCgroupUsage } from "../../host/cgroup.ts";
import type { Files } from "../files.ts";
import { endedAttachment } from "../oci/attachment.ts";
import type { ContainerOptions, OciContainer, OciRuntime } from "../oci/runtime.ts";
import type {
  Attachment,
  AttachOptions,
  ExecSession,
  ExecSpec,
  ExitStatus,
  NetworkChange,
  ProcessRow,
  Sandbox,
  SandboxSpec,
  SandboxStats,
  TerminalSize,
} from "../wall.ts";
import { type FilesParts, filesOf } from "./files.ts";
import type { LayerLease } from "./layer-mounts.ts";
import { ociProcess } from "./oci-config.ts";
import { describeProcesses } from "./processes.ts";
import { checkProgram } from "./program.ts";
import { resolveUserInRoot, userNamesInRoot } from "./user.ts";
import { makeWorkingDirectory } from "./working-directory.ts";

interface SandboxParts extends FilesParts {
  readonly runtime: OciRuntime;
  readonly options: ContainerOptions;
  /** Undefined when there is none: the command was wrong, or a daemon died before it was made. */
  readonly container: OciContainer | undefined;
  /** What `start` has to throw. */
  readonly startError: HullError | undefined;
  readonly lease: LayerLease | undefined;
}

export class ContainerSandbox implements Sandbox {
  readonly spec: SandboxSpec;
  readonly files: Files;
  readonly #parts: SandboxParts;

  constructor(parts: SandboxParts) {
    this.spec = parts.spec;
    this.#parts = parts;
    this.files = filesOf(parts, { runningPid: () => this.#runningPid() });
  }

  pid(): number | undefined {
    return this.#parts.container?.pid();
  }

  async start(): Promise<void> {
    if (this.#parts.startError !== undefined) throw this.#parts.startError;
    await this.#container().start();
  }

  attach(options: AttachOptions): Promise<Attachment> {
    return this.#parts.container === undefined
      ? Promise.resolve(endedAttachment)
      : this.#parts.container.attach(options);
  }

  async signal(signal: number): Promise<void> {
    if (this.#parts.container?.signal(signal) !== true)
      throw new HullError("workloadNotRunning", { name: this.spec.name });
  }

  async exec(spec: ExecSpec): Promise<ExecSession> {
    const root = `/proc/${this.#runningPid()}/root`;
    const user = resolveUserInRoot(root, spec.process.user);
    makeWorkingDirectory(root, spec.process.cwd);
    checkProgram(root, spec.process);
    return this.#container().exec({
      id: spec.id,
      process: ociProcess(spec.process, user),
      stdin: spec.process.stdin,
      attach: spec.attach,
      user: spec.process.user,
    });
  }

  async resize(size: TerminalSize): Promise<void> {
    await this.#container().resize(size);
  }

  async pause(): Promise<void> {
    await this.#container().pause();
  }

  async resume(): Promise<void> {
    await this.#container().resume();
  }

  async stats(): Promise<SandboxStats> {
    this.#runningPid();
    const { runtime, options } = this.#parts;
    const usage = readCgroupUsage(runtime.cgroups, options.cgroup);
    if (usage === undefined) throw new HullError("workloadNotRunning", { name: this.spec.name });
    const { memoryBytes, memoryLimitBytes, cpuNanoseconds, pids } = usage;
    const proportionalBytes = await this.#container().proportionalBytes();
    const figures = { memoryBytes, memoryLimitBytes, cpuNanoseconds, pids };
    return proportionalBytes === undefined ? figures : { ...figures, proportionalBytes };
  }

  /** The files are mounted into the container, so they are written to, not replaced. */
  async changeNetwork({ hosts, resolver }: NetworkChange): Promise<void> {
    const directory = this.spec.runtimeDirectory;
    if (hosts !== undefined) writeFileSync(`${directory}/hosts`, hosts);
    if (resolver !== undefined) writeFileSync(`${directory}/resolv.conf`, resolver);
  }

  async processes(): Promise<ProcessRow[]> {
    const root = `/proc/${this.#runningPid()}/root`;
    const { runtime, options } = this.#parts;
    return describeProcesses(cgroupProcesses(runtime.cgroups, options.cgroup), userNamesInRoot(root));
  }

  wait(): Promise<ExitStatus> {
    return this.#parts.container === undefined
      ? Promise.reject(new HullError("monitorLost", { name: this.spec.name }))
      : this.#parts.container.wait();
  }

  async remove(): Promise<void> {
    const { container, runtime, options, spec, lease } = this.#parts;
    await (container?.delete() ?? runtime.delete(options));
    // overlayfs keeps nothing of worth in its work directory, and makes a new one.
    rmSync(`${spec.directory}/work`, { recursive: true, force: true });
    lease?.[Symbol.dispose]();
  }

  #container(): OciContainer {
    if (this.#parts.container !== undefined) return this.#parts.container;
    throw new HullError("workloadNotRunning", { name: this.spec.name });
  }

  #runningPid(): number {
    const pid = this.pid();
    if (pid !== undefined) return pid;
    throw new HullError("workloadNotRunning", { name: this.spec.name });
  }
}
