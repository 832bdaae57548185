/**
 * Programs executed in running workloads. Their records live no longer than the daemon and the workload: for a
 * while before their start, and for a while after their end, so that clients can ask for the exit code.
 */
import { HullError, messageOf } from "../contract/errors.ts";
import type { Attachment, ExecSession, TerminalSize } from "../wall/wall.ts";
import { now } from "./clock.ts";
import { type EngineContext, emit } from "./context.ts";
import { exitCodeOf, requireMoving } from "./life-cycle.ts";
import { withLinks } from "./links.ts";
import { newId } from "./names.ts";
import { planExec } from "./plan.ts";
import type { ExecRequest } from "./request.ts";
import type { Workload } from "./workload.ts";

export interface ExecState {
  readonly id: string;
  readonly workload: Workload;
  readonly request: ExecRequest;
  readonly state: "created" | "running" | "exited";
  readonly exitCode: number | undefined;
  readonly pid: number;
}

interface Exec {
  readonly id: string;
  readonly workload: Workload;
  readonly request: ExecRequest;
  state: ExecState["state"];
  exitCode: number | undefined;
  session: ExecSession | undefined;
  size: TerminalSize | undefined;
  readonly createdAt: number;
  finishedAt: number | undefined;
  readonly ended: PromiseWithResolvers<void>;
}

const keptFor = 5 * 60_000;

export class Execs {
  readonly #context: EngineContext;
  readonly #execs = new Map<string, Exec>();

  constructor(context: EngineContext) {
    this.#context = context;
  }

  create(workload: Workload, request: ExecRequest): string {
    this.#prune();
    requireRunning(workload);
    const id = newId();
    planExec(request, workload.record, id);
    this.#execs.set(id, {
      id,
      workload,
      request,
      state: "created",
      exitCode: undefined,
      session: undefined,
      size: request.size,
      createdAt: now(),
      finishedAt: undefined,
      ended: Promise.withResolvers<void>(),
    });
    emit(this.#context, workload, `exec_create: ${request.command.join(" ")}`, { execID: id });
    return id;
  }

  /** Starts it, once; the attachment is undefined for a detached one. */
  async start(id: string, options: { detach: boolean }): Promise<Attachment | undefined> {
    const exec = this.#find(id);
    this.requireStartable(id);
    const { workload, request } = exec;
    const { sandbox } = workload;
    if (sandbox === undefined) throw new HullError("workloadNotRunning", { name: workload.record.name });
    exec.state = "running";
    const attach = !options.detach && (request.stdin || request.stdout || request.stderr);
    const sized = exec.size === undefined ? request : { ...request, size: exec.size };
    emit(this.#context, workload, `exec_start: ${request.command.join(" ")}`, { execID: id });
    try {
      const plan = planExec(sized, workload.record, id);
      const process = withLinks(this.#context, workload, plan.process);
      const session = await sandbox.exec({ ...plan, process, attach });
      exec.session = session;
      this.#watch(exec, session);
      return session.attachment;
    } catch (error) {
      this.#end(exec, exitCodeOf(error));
      // The runtime's words for a container that ended under its hands tell nobody anything.
      if (!workload.live || sandbox.pid() === undefined)
        throw new HullError("workloadNotRunning", { name: workload.record.name }, { cause: error });
      throw error;
    }
  }

  /** Throws when it cannot be started, before anything is answered to the client. */
  requireStartable(id: string): void {
    const exec = this.#find(id);
    if (exec.state !== "created")
      throw new HullError("conflict", { what: `exec instance ${id.slice(0, 12)} has been started already` });
    requireRunning(exec.workload);
  }

  get(id: string): ExecState {
    const { workload, request, state, exitCode, session } = this.#find(id);
    return { id, workload, request, state, exitCode, pid: session?.pid ?? 0 };
  }

  /** Resolves once a started one has its exit code. */
  ended(id: string): Promise<void> {
    return this.#find(id).ended.promise;
  }

  async resize(id: string, size: TerminalSize): Promise<void> {
    const exec = this.#find(id);
    exec.size = size;
    if (exec.state === "running") await exec.session?.resize(size);
  }

  /** Ids of those of a workload that are running. */
  runningOf(workload: Workload): string[] {
    return [...this.#execs.values()]
      .filter((exec) => exec.workload === workload && exec.state === "running")
      .map((exec) => exec.id);
  }

  #watch(exec: Exec, session: ExecSession): void {
    session.wait().then(
      (status) => this.#end(exec, status.code),
      (error: unknown) => {
        if (this.#context.closing.aborted) return;
        // The workload's own end, or the loss of its wall, takes its execs along.
        this.#context.log.debug("lost an exec", { id: exec.id, why: messageOf(error) });
        this.#end(exec, 137);
      },
    );
  }

  #end(exec: Exec, exitCode: number): void {
    exec.state = "exited";
    exec.exitCode = exitCode;
    exec.finishedAt = now();
    exec.ended.resolve();
    emit(this.#context, exec.workload, "exec_die", { execID: exec.id, exitCode: String(exitCode) });
  }

  #find(id: string): Exec {
    const exact = this.#execs.get(id);
    if (exact !== undefined) return exact;
    const matches = [...this.#execs.values()].filter((exec) => exec.id.startsWith(id));
    const [match] = matches;
    if (match === undefined || matches.length > 1 || id.length < 4)
      throw new HullError("noSuchExec", { name: id });
    return match;
  }

  #prune(): void {
    const limit = now() - keptFor;
    for (const [id, exec] of this.#execs) {
      const forgotten = !this.#context.workloads.has(exec.workload.id);
      const idleSince = exec.state === "created" ? exec.createdAt : exec.finishedAt;
      if (forgotten || (idleSince !== undefined && idleSince < limit)) this.#execs.delete(id);
    }
  }
}

function requireRunning(workload: Workload): void {
  const { name } = workload.record;
  requireMoving(workload);
  if (workload.state !== "running") throw new HullError("workloadNotRunning", { name });
}
