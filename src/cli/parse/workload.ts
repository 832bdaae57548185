/** The flags of `run` and `create`, and the request they make. */

import type { ContainerCreateRequest } from "../../contract/docker.ts";
import { acceptedIsolations, wallOfIsolation } from "../../contract/isolation.ts";
import { mountMembers } from "./mounts.ts";
import { endpointsOf, exposedPortsOf, hostNetworkOf, networkFlags } from "./network.ts";
import { type Flags, list, type Options, text, toggle, UsageError } from "./options.ts";
import { bytesOf, environmentOf, integerOf, labelsOf, nanoCpusOf, pairsOf } from "./values.ts";

export const workloadFlags = {
  interactive: toggle("Keep standard input open", "i"),
  tty: toggle("Give the workload a terminal", "t"),
  rm: toggle("Remove the workload when it has ended"),
  name: text("NAME", "Name of the workload"),
  env: list("NAME=VALUE", "Set a variable; NAME alone passes the client's on", "e"),
  "env-file": list("FILE", "Set the variables in a file"),
  workdir: text("DIR", "Working directory", "w"),
  user: text("USER[:GROUP]", "User, by name or number", "u"),
  entrypoint: text("PROGRAM", "Program in place of the image's entrypoint"),
  isolation: text("WALL", "The wall: container or vm"),
  memory: text("BYTES", "Memory limit, such as 512m; a virtual machine's size", "m"),
  cpus: text("NUMBER", "Number of CPUs, such as 1.5"),
  "pids-limit": text("NUMBER", "Most processes at once; -1 for no limit"),
  hostname: text("NAME", "Host name", "h"),
  label: list("NAME=VALUE", "Set a label", "l"),
  "label-file": list("FILE", "Set the labels in a file"),
  volume: list("SOURCE:TARGET[:OPTIONS]", "Mount a volume or a directory of the host", "v"),
  mount: list("FIELDS", "Mount, said field by field: type=volume,source=NAME,target=/DIR"),
  "storage-opt": list("size=BYTES", "Most that the writable layer may have, such as size=10g"),
  tmpfs: list("TARGET[:OPTIONS]", "Mount a file system in memory"),
  "volumes-from": list("NAME[:ro]", "Mount what another workload has mounted"),
  "read-only": toggle("Refuse writes to the root file system"),
  "cap-add": list("CAPABILITY", "Add a Linux capability"),
  "cap-drop": list("CAPABILITY", "Drop a Linux capability"),
  "stop-signal": text("SIGNAL", "Signal that asks the workload to end"),
  "stop-timeout": text("SECONDS", "How long stop waits before killing"),
  cidfile: text("FILE", "Write the workload's id to a file"),
  platform: text("OS/ARCH", "Platform of the image to pull"),
  pull: text("WHEN", "Pull the image: missing, always or never (default missing)"),
  ...networkFlags,
  attach: list("STREAM", "Show or feed stdin, stdout or stderr only", "a"),
} as const satisfies Flags;

export type WorkloadOptions = Options<typeof workloadFlags>;

/** Which of its standard streams the client joins to the workload's. */
export interface Attached {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
}

export function attachedOf(options: WorkloadOptions, detach: boolean): Attached {
  const named = new Set(options.attach.map((stream) => stream.toLowerCase()));
  for (const stream of named)
    if (!["stdin", "stdout", "stderr"].includes(stream))
      throw new UsageError(`invalid argument "${stream}" for --attach: use stdin, stdout or stderr`);
  if (detach && named.size > 0) throw new UsageError("--detach and --attach exclude each other");
  if (detach) return { stdin: false, stdout: false, stderr: false };
  if (named.size === 0) return { stdin: options.interactive, stdout: true, stderr: true };
  return { stdin: named.has("stdin"), stdout: named.has("stdout"), stderr: named.has("stderr") };
}

/** `args`: the image, the command and its arguments. */
export function workloadRequest(
  options: WorkloadOptions,
  args: readonly string[],
  attached: Attached,
): ContainerCreateRequest {
  const [image = "", ...command] = args;
  const { entrypoint } = options;
  const mounts = mountMembers(options);
  return {
    Image: image,
    Cmd: command.length === 0 ? undefined : command,
    // An empty one takes the image's away.
    Entrypoint: entrypoint === undefined ? undefined : [entrypoint],
    Env: environmentOf(options.env, options["env-file"]),
    WorkingDir: options.workdir,
    User: options.user,
    Hostname: options.hostname,
    Labels: labelsOf(options.label, options["label-file"]),
    Tty: options.tty,
    OpenStdin: options.interactive,
    StdinOnce: options.interactive && attached.stdin,
    AttachStdin: attached.stdin,
    AttachStdout: attached.stdout,
    AttachStderr: attached.stderr,
    Volumes: mounts.volumes,
    StopSignal: options["stop-signal"],
    StopTimeout: number("--stop-timeout", options["stop-timeout"], -1),
    HostConfig: {
      Isolation: isolation(options.isolation),
      AutoRemove: options.rm,
      Memory: options.memory === undefined ? undefined : bytesOf("--memory", options.memory),
      NanoCpus: options.cpus === undefined ? undefined : nanoCpusOf("--cpus", options.cpus),
      PidsLimit: number("--pids-limit", options["pids-limit"], -1),
      StorageOpt: pairsOf("--storage-opt", options["storage-opt"]),
      ReadonlyRootfs: options["read-only"],
      CapAdd: options["cap-add"],
      CapDrop: options["cap-drop"],
      ...mounts.host,
      ContainerIDFile: options.cidfile,
      ...hostNetworkOf(options),
    },
    ExposedPorts: exposedPortsOf(options),
    Domainname: options.domainname,
    NetworkingConfig: endpointsOf(options),
  };
}

function isolation(value: string | undefined): string | undefined {
  if (value !== undefined && wallOfIsolation(value) === undefined)
    throw new UsageError(
      `invalid argument "${value}" for --isolation: use one of ${acceptedIsolations.join(", ")}`,
    );
  return value;
}

function number(flag: string, value: string | undefined, least: number): number | undefined {
  return value === undefined ? undefined : integerOf(flag, value, least);
}
