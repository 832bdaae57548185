/** What one virtual machine is made of: its sizes, its files, its jail. */
import { appendFile, chmod, mkdir, stat } from "node:fs/promises";
import { HullError } from "../../contract/errors.ts";
import { canLimitSwap } from "../../host/cgroup.ts";
import { explainWriteError } from "../../host/system-error.ts";
import type { OciConfig } from "../oci/config.ts";
import type { ContainerOptions, OciRuntime } from "../oci/runtime.ts";
import type { Resources, SandboxNetwork, SandboxSpec } from "../wall.ts";
import type { AccelerationFacts } from "./acceleration.ts";
import { diskBytes } from "./disk.ts";
import { type JailFacts, jailConfig } from "./jail.ts";
import { jailCgroup, jailed, jailId, type VmLayout } from "./layout.ts";
import { placesOf as placesOfProgram, type VmPrograms } from "./programs.ts";
import type { SavedImage } from "./saved/wake.ts";
import type { MachineImage } from "./template/files.ts";
import type { TemplateLease } from "./template/store.ts";

const mebibyte = 1024 * 1024;
const defaultMemory = 128 * mebibyte;
/** Below this the guest's kernel does not come up. */
const smallestMemory = 80 * mebibyte;
const consoleLimit = 256 * 1024;

export interface MachineParts {
  readonly spec: SandboxSpec;
  readonly layout: VmLayout;
  readonly runtime: OciRuntime;
  readonly programs: VmPrograms;
  readonly facts: AccelerationFacts;
  readonly memoryBytes: number;
  /** What the machine starts from; without either, it boots. */
  readonly template?: TemplateLease;
  readonly saved?: SavedImage;
  /** It is given its image later. */
  readonly waits?: boolean;
}

export async function configOf(
  parts: MachineParts,
  disks: readonly string[],
  freshDisk: boolean,
): Promise<OciConfig> {
  const { spec, layout, runtime, programs, facts, memoryBytes } = parts;
  return jailConfig(spec, {
    disks,
    freshDisk,
    ...(parts.waits ? { waits: true } : {}),
    qemu: programs.qemu,
    acceleration: facts.acceleration,
    kvm: facts.kvm,
    layout,
    cgroup: jailCgroup(spec.id),
    user: jailUser(spec.id),
    memoryBytes,
    diskBytes,
    processors: processorsOf(spec.resources),
    kernel: programs.kernel,
    initramfs: programs.initramfs,
    discard: programs.discard,
    programs: await placesOfProgram(programs.qemu),
    canLimitSwap: canLimitSwap(runtime.cgroups),
    ...jailNetwork(spec.network),
    ...originOf(parts),
  });
}

function jailNetwork(network: SandboxNetwork | undefined) {
  if (network?.namespace === undefined) return {};
  return { network: { namespace: network.namespace, taps: network.taps } };
}

/** What the machine's memory begins as. */
function originOf({
  memoryBytes,
  template,
  saved,
}: MachineParts): Pick<JailFacts, "template" | "savedMemory"> {
  const image = imageOf({ template, saved });
  if (image === undefined) return {};
  const emptyBytes = memoryBytes - image.usedBytes;
  const layerPlaces = placesOf({ template, saved });
  if (layerPlaces === null) return { savedMemory: { path: jailed.memory, emptyBytes } };
  return { template: { step: "restore", memory: jailed.memory, layerPlaces, emptyBytes } };
}

interface Origin {
  readonly template?: TemplateLease | undefined;
  readonly saved?: SavedImage | undefined;
}

export function imageOf({ template, saved }: Origin): MachineImage | undefined {
  return saved?.image ?? template?.image;
}

/** How many layers the machine has places for, by its template; null if it boots, or did. */
export function placesOf({ template, saved }: Origin): number | null {
  return saved === undefined ? (template?.size.layerPlaces ?? null) : saved.layerPlaces;
}

export function processorsOf({ cpus }: Resources): number {
  return Math.max(1, Math.ceil(cpus));
}

export async function makeDirectories({ spec, layout }: MachineParts): Promise<void> {
  try {
    // A workload that writes nothing has a log, too.
    await appendFile(spec.logPath, "", { mode: 0o600 });
    await mkdir(spec.runtimeDirectory, { recursive: true, mode: 0o700 });
    await mkdir(`${layout.root}${jailed.share}`, { recursive: true, mode: 0o755 });
    await mkdir(layout.sockets, { recursive: true, mode: 0o711 });
  } catch (error) {
    throw explainWriteError(error, "the machine's files", spec.runtimeDirectory);
  }
}

/** QEMU's user has to read what the daemon, under a narrow umask, may have made for itself alone. */
export async function letRead(path: string): Promise<void> {
  const { mode } = await stat(path);
  if ((mode & 0o004) === 0) await chmod(path, (mode & 0o7777) | 0o444);
}

export function jailOptions(spec: SandboxSpec, layout: VmLayout): ContainerOptions {
  return {
    id: jailId(spec.id),
    name: spec.name,
    wall: "vm",
    bundle: layout.bundle,
    cgroup: jailCgroup(spec.id),
    logPath: layout.console,
    logLimit: consoleLimit,
    terminal: false,
    stdin: false,
    stdinOnce: false,
    user: "",
  };
}

/**
 * The user that a VM's QEMU runs as: one of its own, far from those that a system hands out, so that one QEMU
 * can touch nothing of another's.
 */
export function jailUser(id: string): number {
  return 0x70000000 + Number.parseInt(id.slice(0, 7), 16);
}

export function memoryOf({ memoryBytes }: Resources): number {
  if (memoryBytes === 0) return defaultMemory;
  if (memoryBytes >= smallestMemory) return Math.ceil(memoryBytes / mebibyte) * mebibyte;
  throw new HullError("invalidParameter", {
    what: "memory",
    value: memoryBytes,
    why: `a virtual machine needs at least ${smallestMemory / mebibyte} MiB`,
  });
}
