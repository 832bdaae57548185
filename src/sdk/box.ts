/**
 * A workload as a value: made by `hull.run`, gone at the end of its scope.
 *
 *   await using box = await hull.run({ image: "hull/tiny", isolation: "vm", command: ["sleep", "inf"] });
 *   const { code, stdout } = await box.exec(["uname", "-r"]);
 */
import type { ContainerCreateRequest, ContainerInspect, PortBinding } from "../contract/docker.ts";
import { annotationsOf } from "../contract/policy.ts";
import { ApiError } from "./api-error.ts";
import type { Containers, ExitResult, LogsOptions } from "./containers.ts";
import type { OutputChunk } from "./stdcopy.ts";
import type { StandardStreams } from "./streams.ts";

export interface RunOptions {
  readonly image: string;
  /** `container` (the default) or `vm`. */
  readonly isolation?: "container" | "vm" | undefined;
  /** Program and arguments; undefined: the image's. */
  readonly command?: readonly string[] | undefined;
  readonly entrypoint?: readonly string[] | undefined;
  readonly name?: string | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly workingDirectory?: string | undefined;
  /** `name`, `uid`, `uid:gid`… */
  readonly user?: string | undefined;
  readonly hostname?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly memoryBytes?: number | undefined;
  readonly cpus?: number | undefined;
  readonly pids?: number | undefined;
  readonly readOnly?: boolean | undefined;
  /** Keeps standard input open for `attach`. */
  readonly stdin?: boolean | undefined;
  readonly terminal?: boolean | undefined;
  readonly platform?: string | undefined;
  /** Networks by name, the first with the default way out; `["none"]`: a loopback interface only. */
  readonly networks?: readonly string[] | undefined;
  /** Ports of the host that lead to the workload's: `{ "80/tcp": 8080 }`; 0: any that is free. */
  readonly ports?: Readonly<Record<string, number>> | undefined;
  /** Names, `*.NAME`, addresses and subnets that it may reach, with `:PORT` and `/PROTOCOL`; `[]`: none; undefined: all. */
  readonly egress?: readonly string[] | undefined;
  /** Most that it receives, over all of its networks: `10mbit`. */
  readonly ingressRate?: string | undefined;
  /** Most that it sends. */
  readonly egressRate?: string | undefined;
}

export interface ExecOptions {
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly workingDirectory?: string | undefined;
  readonly user?: string | undefined;
  /** All of the program's standard input; undefined: none. */
  readonly input?: Uint8Array | string | AsyncIterable<Uint8Array> | undefined;
  /** Most bytes of output that are kept; more is an error. 64 MiB when not given. */
  readonly outputLimit?: number | undefined;
}

export interface ExecResult {
  readonly code: number;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
}

const defaultOutputLimit = 64 * 1024 * 1024;

export class Box implements AsyncDisposable {
  readonly id: string;
  /** What the daemon had to say about the request, e.g. that a wall protects less than it seems. */
  readonly warnings: readonly string[];
  readonly #containers: Containers;
  readonly #terminal: boolean;

  constructor(containers: Containers, id: string, warnings: readonly string[], terminal: boolean) {
    this.#containers = containers;
    this.id = id;
    this.warnings = warnings;
    this.#terminal = terminal;
  }

  /** Runs a program to its end and returns its output. */
  async exec(command: readonly string[], options: ExecOptions = {}): Promise<ExecResult> {
    const exec = await this.#containers.createExec(this.id, {
      Cmd: command,
      AttachStdin: options.input !== undefined,
      AttachStdout: true,
      AttachStderr: true,
      Env: envOf(options.env),
      WorkingDir: options.workingDirectory,
      User: options.user,
    });
    using streams = await this.#containers.startExec(exec, { terminal: false });
    const feeding = feed(streams, options.input);
    const output = await collect(streams.output, options.outputLimit ?? defaultOutputLimit);
    await feeding;
    const { exitCode } = await this.#containers.inspectExec(exec);
    if (exitCode === undefined) throw new Error(`the exec ${exec} has ended without an exit code`);
    return { code: exitCode, ...output };
  }

  /** Connects to the standard streams of the workload itself. */
  attach(options: { readonly stdin?: boolean } = {}): Promise<StandardStreams> {
    return this.#containers.attach(this.id, { stdin: options.stdin, terminal: this.#terminal });
  }

  logs(options: LogsOptions = {}): AsyncGenerator<OutputChunk, void, void> {
    return this.#containers.logs(this.id, { terminal: this.#terminal, ...options });
  }

  wait(): Promise<ExitResult> {
    return this.#containers.wait(this.id);
  }

  stop(options: { readonly seconds?: number } = {}): Promise<void> {
    return this.#containers.stop(this.id, options);
  }

  kill(signal?: string): Promise<void> {
    return this.#containers.kill(this.id, signal);
  }

  inspect(): Promise<ContainerInspect> {
    return this.#containers.inspect(this.id);
  }

  /** Ends the workload if it runs and removes it with its writable layer. */
  async remove(): Promise<void> {
    try {
      await this.#containers.remove(this.id, { force: true, volumes: true });
    } catch (error) {
      // Gone already: that is what was asked for.
      if (!(error instanceof ApiError && error.status === 404)) throw error;
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.remove();
  }
}

export function createRequestOf(options: RunOptions): ContainerCreateRequest {
  return {
    Image: options.image,
    Cmd: options.command,
    Entrypoint: options.entrypoint,
    Env: envOf(options.env),
    WorkingDir: options.workingDirectory,
    User: options.user,
    Hostname: options.hostname,
    Labels: options.labels,
    Tty: options.terminal ?? false,
    OpenStdin: options.stdin ?? false,
    HostConfig: {
      Isolation: options.isolation,
      Memory: options.memoryBytes,
      NanoCpus: options.cpus === undefined ? undefined : Math.round(options.cpus * 1e9),
      PidsLimit: options.pids,
      ReadonlyRootfs: options.readOnly,
      NetworkMode: options.networks?.[0],
      PortBindings: bindingsOf(options.ports),
      Annotations: annotationsOf(options),
    },
    ...networkingOf(options.networks),
  };
}

function bindingsOf(ports: RunOptions["ports"]): Record<string, PortBinding[]> | undefined {
  if (ports === undefined) return undefined;
  return Object.fromEntries(
    Object.entries(ports).map(([port, host]) => [
      port,
      [{ HostIp: "", HostPort: host === 0 ? "" : String(host) }],
    ]),
  );
}

function networkingOf(networks: RunOptions["networks"]): Pick<ContainerCreateRequest, "NetworkingConfig"> {
  if (networks === undefined || networks.length < 2) return {};
  return { NetworkingConfig: { EndpointsConfig: Object.fromEntries(networks.map((name) => [name, {}])) } };
}

function envOf(env: Readonly<Record<string, string>> | undefined): string[] | undefined {
  return env === undefined ? undefined : Object.entries(env).map(([name, value]) => `${name}=${value}`);
}

async function feed(streams: StandardStreams, input: ExecOptions["input"]): Promise<void> {
  if (input === undefined) return;
  try {
    if (typeof input === "string" || input instanceof Uint8Array) await streams.write(input);
    else for await (const part of input) await streams.write(part);
    streams.endInput();
  } catch {
    // The program ended without reading all of its input: its exit code tells whether that was right.
  }
}

async function collect(
  output: AsyncIterable<OutputChunk>,
  limit: number,
): Promise<{ stdout: Buffer; stderr: Buffer }> {
  const parts: Record<OutputChunk["stream"], Uint8Array[]> = { stdout: [], stderr: [] };
  let size = 0;
  for await (const { stream, data } of output) {
    size += data.length;
    if (size > limit) throw new Error(`the program wrote more than ${limit} bytes`);
    parts[stream].push(data);
  }
  return { stdout: Buffer.concat(parts.stdout), stderr: Buffer.concat(parts.stderr) };
}
