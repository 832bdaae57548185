/**
 * Plans: pure functions from a request, an image and facts to typed steps, which execute.ts carries out.
 *
 * Every step has a name for failpoints. A step that acquires something comes after the record of it.
 */
import { HullError } from "../contract/errors.ts";
import type { Image } from "../image/image-store.ts";
import type { Registration } from "../network/workloads/register.ts";
import type { ExecSpec, ProcessSpec, SandboxMount, SandboxSpec } from "../wall/wall.ts";
import { capabilitiesOf } from "./capabilities.ts";
import type { WorkloadMount } from "./mounts/mount-request.ts";
import { shortId } from "./names.ts";
import { newLife, type WorkloadRecord } from "./record.ts";
import type { ExecRequest, RunRequest } from "./request.ts";
import { parseSignal, SIGTERM } from "./signals.ts";

export type Step =
  | { readonly do: "record"; readonly name: string; readonly record: WorkloadRecord }
  | { readonly do: "make-directory"; readonly name: string; readonly path: string; readonly log: string }
  | { readonly do: "lease-image"; readonly name: string }
  | { readonly do: "make-volumes"; readonly name: string }
  | { readonly do: "settle-created"; readonly name: string }
  | { readonly do: "settle-starting"; readonly name: string }
  | { readonly do: "register-network"; readonly name: string; readonly registration: Registration }
  | { readonly do: "attach-network"; readonly name: string }
  | { readonly do: "hold-mounts"; readonly name: string }
  | { readonly do: "create-sandbox"; readonly name: string }
  | { readonly do: "connect-attachments"; readonly name: string }
  | { readonly do: "start-sandbox"; readonly name: string }
  | { readonly do: "settle-running"; readonly name: string }
  | { readonly do: "settle-removing"; readonly name: string; readonly volumes: boolean }
  | { readonly do: "remove-sandbox"; readonly name: string }
  | { readonly do: "remove-directory"; readonly name: string; readonly path: string }
  | { readonly do: "remove-volumes"; readonly name: string }
  | { readonly do: "forget"; readonly name: string };

/** What a plan needs besides the request and the image; nothing in a plan looks anything up itself. */
interface PlanFacts {
  readonly id: string;
  readonly name: string;
  readonly now: number;
  readonly root: string;
  readonly state: string;
  readonly mounts: readonly WorkloadMount[];
}

export function planCreate(request: RunRequest, image: Image, facts: PlanFacts): Step[] {
  const record = planRecord(request, image, facts);
  return [
    { do: "record", name: "create:record", record },
    { do: "register-network", name: "create:network", registration: registrationOf(record, image) },
    { do: "lease-image", name: "create:lease" },
    ...(facts.mounts.length === 0 ? [] : [{ do: "make-volumes", name: "create:volumes" } as const]),
    { do: "make-directory", name: "create:directory", path: record.spec.directory, log: record.spec.logPath },
    { do: "settle-created", name: "create:settle" },
  ];
}

export function planStart({ mounts }: Pick<WorkloadRecord, "mounts">): Step[] {
  return [
    { do: "settle-starting", name: "start:record" },
    { do: "attach-network", name: "start:network" },
    ...(mounts.length === 0 ? [] : [{ do: "hold-mounts", name: "start:mounts" } as const]),
    { do: "create-sandbox", name: "start:create-sandbox" },
    { do: "connect-attachments", name: "start:attach" },
    { do: "start-sandbox", name: "start:start-sandbox" },
    { do: "settle-running", name: "start:settle" },
  ];
}

/** `volumes`: the anonymous ones go, too. */
export function planRemove(record: WorkloadRecord, { volumes }: { volumes: boolean }): Step[] {
  return [
    { do: "settle-removing", name: "remove:record", volumes },
    { do: "remove-sandbox", name: "remove:sandbox" },
    { do: "remove-directory", name: "remove:directory", path: record.spec.directory },
    ...(volumes && record.mounts.some(({ anonymous }) => anonymous)
      ? [{ do: "remove-volumes", name: "remove:volumes" } as const]
      : []),
    { do: "forget", name: "remove:forget" },
  ];
}

function planRecord(request: RunRequest, image: Image, facts: PlanFacts): WorkloadRecord {
  const directory = workloadDirectory(facts.root, facts.id);
  const hostname = request.hostname === "" ? shortId(facts.id) : request.hostname;
  const spec: SandboxSpec = {
    id: facts.id,
    name: facts.name,
    directory,
    runtimeDirectory: runtimeDirectory(facts.state, facts.id),
    layers: image.layers.map((layer) => layer.path),
    process: planProcess(request, image, hostname),
    hostname,
    readOnlyRoot: request.readOnlyRoot,
    resources: {
      memoryBytes: request.memoryBytes,
      cpus: request.nanoCpus / 1e9,
      pids: request.pidsLimit,
    },
    ...(request.storageBytes === 0 ? {} : { storageBytes: request.storageBytes }),
    ...(facts.mounts.length === 0 ? {} : { mounts: facts.mounts.map(sandboxMount) }),
    logPath: `${directory}/log`,
  };
  const stopSignal = request.stopSignal === "" ? image.config.stopSignal : request.stopSignal;
  return {
    id: facts.id,
    name: facts.name,
    wall: request.wall,
    image: image.id,
    request,
    spec,
    mounts: facts.mounts,
    stopSignal: stopSignal === "" ? SIGTERM : parseSignal(stopSignal),
    labels: { ...image.config.labels, ...request.labels },
    createdAt: facts.now,
    state: "creating",
    life: newLife,
  };
}

/** Ports are written `80/tcp`; those of the image, of `--expose`, and those that are published. */
function registrationOf(record: WorkloadRecord, image: Image): Registration {
  const { id, name, wall, spec, request } = record;
  const words = [...image.config.exposedPorts, ...request.exposedPorts];
  const exposed = words.map((port) => (port.includes("/") ? port : `${port}/tcp`));
  const published = request.network.ports.map(({ port, protocol }) => `${port}/${protocol}`);
  return {
    id,
    name,
    wall,
    hostname: spec.hostname,
    request: request.network,
    exposed: [...new Set([...exposed, ...published])],
    links: request.links,
  };
}

function sandboxMount({ type, path, target, readOnly, propagation, options }: WorkloadMount): SandboxMount {
  if (type === "tmpfs") return { type, source: "tmpfs", target, readOnly, options };
  return { type: "bind", source: path, target, readOnly, options: propagation === "" ? [] : [propagation] };
}

/** Where parts of volumes are mounted for a workload. */
export function mountPlaces(state: string, id: string): string {
  return `${state}/m/${shortId(id)}`;
}

export function workloadDirectory(root: string, id: string): string {
  return `${root}/workloads/${id}`;
}

export function runtimeDirectory(state: string, id: string): string {
  return `${state}/w/${shortId(id)}`;
}

function planProcess(request: RunRequest, image: Image, hostname: string): ProcessSpec {
  const { config } = image;
  const env = [
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    `HOSTNAME=${hostname}`,
    ...(request.terminal ? ["TERM=xterm"] : []),
    ...config.env,
  ];
  const cwd = request.workingDirectory === "" ? config.workingDir : request.workingDirectory;
  return {
    args: withoutNul("command", planArguments(request, image)),
    env: mergeEnv(env, request.env),
    cwd: parseWorkingDirectory(cwd === "" ? "/" : cwd),
    user: userOf(request.user === "" ? config.user : request.user),
    capabilities: capabilitiesOf(request.capAdd, request.capDrop),
    terminal: request.terminal,
    stdin: request.stdin,
    // A terminal has no end of input: who detaches from it may come back.
    stdinOnce: request.stdinOnce && !request.terminal,
    ...(request.size === undefined ? {} : { size: request.size }),
  };
}

/** Docker's rule: an entry point of the request takes the image's command away with the image's entry point. */
function planArguments(request: RunRequest, image: Image): string[] {
  const { config } = image;
  const ownEntrypoint = request.entrypoint !== undefined;
  const entrypoint = (request.entrypoint ?? config.entrypoint).filter(
    (part, index, parts) => !(index === 0 && part === "" && parts.length === 1),
  );
  const asked = request.command ?? [];
  const command = asked.length > 0 || ownEntrypoint ? asked : config.cmd;
  const args = [...entrypoint, ...command];
  if (args.length === 0)
    throw new HullError("invalidParameter", {
      what: "command of image",
      value: request.image,
      why: "no command specified: the image has none, so give one",
    });
  return args;
}

/** Later settings win; a bare name takes a variable away. Order of first appearance is kept. */
export function mergeEnv(base: readonly string[], changes: readonly string[]): string[] {
  const merged = new Map<string, string>();
  for (const entry of [...base, ...changes]) {
    const equals = entry.indexOf("=");
    if (equals === 0 || entry === "" || entry.includes("\0"))
      throw new HullError("invalidParameter", {
        what: "environment variable",
        value: JSON.stringify(entry),
        why: "write NAME=value",
      });
    if (equals < 0) merged.delete(entry);
    else merged.set(entry.slice(0, equals), entry);
  }
  return [...merged.values()];
}

function parseWorkingDirectory(path: string): string {
  if (!path.startsWith("/"))
    throw new HullError("workingDirectoryInvalid", { path, why: "it needs to be an absolute path" });
  withoutNul("working directory", [path]);
  return path;
}

function userOf(user: string): string {
  withoutNul("user", [user]);
  return user;
}

/** To the kernel a text ends at a NUL: what comes after it would be left out, whatever it was to say. */
function withoutNul<T extends readonly string[]>(what: string, words: T): T {
  for (const word of words)
    if (word.includes("\0"))
      throw new HullError("invalidParameter", {
        what,
        value: JSON.stringify(word),
        why: "it has a NUL, which no program can be given",
      });
  return words;
}

export function planExec(
  request: ExecRequest,
  workload: WorkloadRecord,
  id: string,
): Omit<ExecSpec, "attach"> {
  const { process } = workload.spec;
  const terminal = request.terminal && !process.env.some((entry) => entry.startsWith("TERM="));
  if (request.command.length === 0)
    throw new HullError("invalidParameter", { what: "exec command", value: "", why: "no command specified" });
  return {
    id,
    process: {
      args: withoutNul("exec command", request.command),
      env: mergeEnv(terminal ? [...process.env, "TERM=xterm"] : process.env, request.env),
      cwd: request.workingDirectory === "" ? process.cwd : parseWorkingDirectory(request.workingDirectory),
      user: request.user === "" ? process.user : userOf(request.user),
      capabilities: process.capabilities,
      terminal: request.terminal,
      stdin: request.stdin,
      stdinOnce: request.stdin,
      ...(request.size === undefined ? {} : { size: request.size }),
    },
  };
}
