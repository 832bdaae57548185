/** /containers and /exec of the Engine API. */

import type { ContainerPruneReport } from "../contract/docker/prune.ts";
import type {
  ContainerCreateRequest,
  ContainerCreateResponse,
  ContainerInspect,
  ContainerStats,
  ContainerSummary,
  ContainerTop,
  ContainerWaitResponse,
  ExecCreateRequest,
  ForkedContainer,
  ForkRequest,
  PolicyChangeRequest,
  PortsChangeRequest,
  WaitCondition,
} from "../contract/docker.ts";
import { fieldsOf, numberField, stringField, stringsField } from "./check.ts";
import { type Filters, filtersQuery } from "./filters.ts";
import { jsonLines } from "./json-lines.ts";
import { checked } from "./lazy-schemas.ts";
import type { OutputChunk } from "./stdcopy.ts";
import { isMultiplexed, outputOf, type StandardStreams, standardStreams } from "./streams.ts";
import { readAll, type Transport } from "./transport.ts";

export interface ListOptions {
  /** Stopped ones too. */
  readonly all?: boolean | undefined;
  /** The newest so many, stopped ones included. */
  readonly limit?: number | undefined;
  readonly size?: boolean | undefined;
  readonly filters?: Filters | undefined;
}

export interface AttachOptions {
  readonly stdin?: boolean | undefined;
  readonly stdout?: boolean | undefined;
  readonly stderr?: boolean | undefined;
  /** Begins with what is in the log. */
  readonly logs?: boolean | undefined;
  /** Whether the container has a terminal; its output is then one stream. */
  readonly terminal: boolean;
  readonly detachKeys?: string | undefined;
}

export interface LogsOptions {
  readonly follow?: boolean | undefined;
  readonly stdout?: boolean | undefined;
  readonly stderr?: boolean | undefined;
  readonly timestamps?: boolean | undefined;
  /** A number of lines; undefined: all. */
  readonly tail?: number | undefined;
  /** Seconds since the epoch, with a fraction of up to nine digits. */
  readonly since?: string | undefined;
  readonly until?: string | undefined;
  /** Whether the container has a terminal, when it is known. */
  readonly terminal?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface ExitResult {
  readonly code: number;
  /** Why the exit status cannot be known, when it cannot. */
  readonly error: string | undefined;
}

/** The daemon watches for the exit; `result` comes when it has happened. */
export interface PendingExit {
  readonly result: Promise<ExitResult>;
  cancel(): void;
}

export interface ExecState {
  readonly running: boolean;
  readonly exitCode: number | undefined;
  readonly pid: number;
}

export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

/** `id`: an id, an unambiguous prefix of one, or a name. */
export class Containers {
  readonly #transport: Transport;
  readonly #own: Transport;

  /** `own`: for what Docker's API has no word for. */
  constructor(transport: Transport, own: Transport) {
    this.#transport = transport;
    this.#own = own;
  }

  async create(
    request: ContainerCreateRequest,
    options: { readonly name?: string | undefined; readonly platform?: string | undefined } = {},
  ): Promise<ContainerCreateResponse> {
    const what = "answer to create";
    const query = { name: options.name, platform: options.platform };
    const fields = fieldsOf(
      await this.#transport.json("POST", "/containers/create", { query, json: request }),
      what,
    );
    return { Id: stringField(fields, "Id", what), Warnings: stringsField(fields, "Warnings") };
  }

  async start(id: string, options: { readonly detachKeys?: string | undefined } = {}): Promise<void> {
    await this.#transport.call("POST", at(id, "start"), { query: { detachKeys: options.detachKeys } });
  }

  /** `seconds`: how long to wait before killing; undefined: the container's own stop time. */
  async stop(
    id: string,
    options: { readonly seconds?: number | undefined; readonly signal?: string | undefined } = {},
  ): Promise<void> {
    await this.#transport.call("POST", at(id, "stop"), {
      query: { t: options.seconds, signal: options.signal },
    });
  }

  async restart(
    id: string,
    options: { readonly seconds?: number | undefined; readonly signal?: string | undefined } = {},
  ): Promise<void> {
    await this.#transport.call("POST", at(id, "restart"), {
      query: { t: options.seconds, signal: options.signal },
    });
  }

  /** `signal`: a name or a number; undefined: KILL. */
  async kill(id: string, signal?: string): Promise<void> {
    await this.#transport.call("POST", at(id, "kill"), { query: { signal } });
  }

  async pause(id: string): Promise<void> {
    await this.#transport.call("POST", at(id, "pause"));
  }

  async unpause(id: string): Promise<void> {
    await this.#transport.call("POST", at(id, "unpause"));
  }

  /** Saves the memory of a virtual machine's workload to the disk and ends the machine. */
  async suspend(id: string): Promise<void> {
    await this.#own.call("POST", hullAt(id, "suspend"));
  }

  /** Makes a suspended workload go on where it was. */
  async resume(id: string): Promise<void> {
    await this.#own.call("POST", hullAt(id, "resume"));
  }

  /** Makes running siblings of a virtual machine's workload, which goes on. */
  async fork(id: string, request: ForkRequest = {}): Promise<ForkedContainer[]> {
    return checked("forked", await this.#own.json("POST", hullAt(id, "fork"), { json: request }));
  }

  /** Puts one that does not run behind another wall: `container` or `vm`. */
  async move(id: string, isolation: string): Promise<void> {
    await this.#own.call("POST", hullAt(id, "move"), { json: { Isolation: isolation } });
  }

  /** Publishes ports and no longer publishes others, at once if the workload runs. Ports are written `80/tcp`. */
  async changePorts(id: string, change: PortsChangeRequest): Promise<void> {
    await this.#own.call("POST", hullAt(id, "ports"), { json: change });
  }

  /** Changes what a workload may reach, and how fast, at once if it runs; what is not named stays as it is. */
  async changePolicy(id: string, change: PolicyChangeRequest): Promise<void> {
    await this.#own.call("POST", hullAt(id, "policy"), { json: change });
  }

  async rename(id: string, name: string): Promise<void> {
    await this.#transport.call("POST", at(id, "rename"), { query: { name } });
  }

  async resize(id: string, size: TerminalSize): Promise<void> {
    await this.#transport.call("POST", at(id, "resize"), { query: { h: size.rows, w: size.columns } });
  }

  async remove(
    id: string,
    options: { readonly force?: boolean | undefined; readonly volumes?: boolean | undefined } = {},
  ): Promise<void> {
    const query = { force: options.force, v: options.volumes };
    await this.#transport.call("DELETE", `/containers/${encodeURIComponent(id)}`, { query });
  }

  /** Removes containers that do not run. */
  async prune(options: { readonly filters?: Filters | undefined } = {}): Promise<ContainerPruneReport> {
    const query = { filters: filtersQuery(options.filters) };
    return checked("containerPrune", await this.#transport.json("POST", "/containers/prune", { query }));
  }

  async list(options: ListOptions = {}): Promise<ContainerSummary[]> {
    const query = {
      all: options.all,
      limit: options.limit,
      size: options.size,
      filters: filtersQuery(options.filters),
    };
    return checked("containerList", await this.#transport.json("GET", "/containers/json", { query }));
  }

  async inspect(
    id: string,
    options: { readonly size?: boolean | undefined } = {},
  ): Promise<ContainerInspect> {
    const query = { size: options.size };
    return checked("containerInspect", await this.#transport.json("GET", at(id, "json"), { query }));
  }

  async top(id: string, psArguments?: string): Promise<ContainerTop> {
    const query = { ps_args: psArguments };
    return checked("containerTop", await this.#transport.json("GET", at(id, "top"), { query }));
  }

  /** Live figures, about one a second; `once`: one and no more. */
  async *stats(
    id: string,
    options: { readonly once?: boolean | undefined; readonly signal?: AbortSignal | undefined } = {},
  ): AsyncGenerator<ContainerStats, void, void> {
    const query = { stream: options.once !== true };
    const answer = await this.#transport.request("GET", at(id, "stats"), { query, signal: options.signal });
    for await (const value of jsonLines(answer)) yield checked("containerStats", value);
  }

  /** Connects to the standard streams. Resolves when the daemon has connected them: nothing later is missed. */
  async attach(id: string, options: AttachOptions): Promise<StandardStreams> {
    const query = {
      stream: true,
      logs: options.logs,
      stdin: options.stdin ?? false,
      stdout: options.stdout ?? true,
      stderr: options.stderr ?? true,
      detachKeys: options.detachKeys,
    };
    const { stream, head } = await this.#transport.hijack(at(id, "attach"), { query });
    return standardStreams(stream, head, options.terminal);
  }

  /** What the container wrote, in the order it was logged. */
  async *logs(id: string, options: LogsOptions = {}): AsyncGenerator<OutputChunk, void, void> {
    const query = {
      follow: options.follow,
      stdout: options.stdout ?? true,
      stderr: options.stderr ?? true,
      timestamps: options.timestamps,
      tail: options.tail ?? "all",
      since: options.since,
      until: options.until,
    };
    const answer = await this.#transport.request("GET", at(id, "logs"), { query, signal: options.signal });
    try {
      yield* outputOf(answer.body, isMultiplexed(answer.headers, options.terminal));
    } finally {
      // Harmless after the end; before it, the daemon is told that nobody listens any more.
      if (options.follow === true) answer.cancel();
    }
  }

  /** Resolves when the daemon watches: an exit that happens after that is not missed. */
  async watchExit(
    id: string,
    condition: WaitCondition = "not-running",
    signal?: AbortSignal,
  ): Promise<PendingExit> {
    const answer = await this.#transport.request("POST", at(id, "wait"), { query: { condition }, signal });
    const result = readAll(answer.body, 1024 * 1024).then(exitResultOf);
    // Who cancels does not await the result.
    result.catch(() => undefined);
    return { result, cancel: () => answer.cancel() };
  }

  async wait(
    id: string,
    condition: WaitCondition = "not-running",
    signal?: AbortSignal,
  ): Promise<ExitResult> {
    const pending = await this.watchExit(id, condition, signal);
    return pending.result;
  }

  /** Prepares a program in a running container; returns the exec's id. */
  async createExec(id: string, request: ExecCreateRequest): Promise<string> {
    const answer = await this.#transport.json("POST", at(id, "exec"), { json: request });
    return stringField(fieldsOf(answer, "answer to exec"), "Id", "answer to exec");
  }

  /** Starts a prepared exec, connected to its standard streams. */
  async startExec(
    exec: string,
    options: { readonly terminal: boolean; readonly size?: TerminalSize | undefined },
  ): Promise<StandardStreams> {
    const size = options.size === undefined ? {} : { ConsoleSize: [options.size.rows, options.size.columns] };
    const json = { Detach: false, Tty: options.terminal, ...size };
    const { stream, head } = await this.#transport.hijack(`/exec/${exec}/start`, { json });
    return standardStreams(stream, head, options.terminal);
  }

  async startExecDetached(exec: string, terminal: boolean): Promise<void> {
    await this.#transport.call("POST", `/exec/${exec}/start`, { json: { Detach: true, Tty: terminal } });
  }

  async resizeExec(exec: string, size: TerminalSize): Promise<void> {
    await this.#transport.call("POST", `/exec/${exec}/resize`, { query: { h: size.rows, w: size.columns } });
  }

  async inspectExec(exec: string): Promise<ExecState> {
    const what = "answer about an exec";
    const fields = fieldsOf(await this.#transport.json("GET", `/exec/${exec}/json`), what);
    const code = fields.ExitCode;
    return {
      running: fields.Running === true,
      exitCode: typeof code === "number" ? code : undefined,
      pid: numberField(fields, "Pid", what),
    };
  }
}

function hullAt(id: string, action: string): string {
  return `/hull/v1/containers/${encodeURIComponent(id)}/${action}`;
}

function at(id: string, action: string): string {
  return `/containers/${encodeURIComponent(id)}/${action}`;
}

function exitResultOf(body: Uint8Array): ExitResult {
  const what = "answer to wait";
  const text = Buffer.from(body.buffer, body.byteOffset, body.length).toString("utf8");
  const fields = fieldsOf(JSON.parse(text), what);
  const error = fields["Error" satisfies keyof ContainerWaitResponse];
  const message =
    typeof error === "object" && error !== null && "Message" in error ? String(error.Message) : "";
  return { code: numberField(fields, "StatusCode", what), error: message === "" ? undefined : message };
}
