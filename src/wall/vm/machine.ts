/** What one virtual machine is made of: its sizes, its files, its jail. */
import { appendFile, chmod, chown, mkdir, stat } from "node:fs/promises";
import { HullError } from "../../contract/errors.ts";
import { canLimitSwap } from "../../host/cgroup.ts";
import { explainWriteError } from "../../host/system-error.ts";
import type { OciConfig } from "../oci/config.ts";
import type { ContainerOptions, OciRuntime } from "../oci/runtime.ts";
import type { Resources, SandboxNetwork, SandboxSpec } from "../wall.ts";
import type { AccelerationFacts } from "./acceleration.ts";
import type { DeviceNodes } from "./device-nodes.ts";
import { diskBytesOf } from "./disk.ts";
import { type JailFacts, jailConfig, tunnel } from "./jail.ts";
import { hasUserNamespace, jailUser } from "./jail-identity.ts";
import { jailCgroup, jailed, jailId, type VmLayout } from "./layout.ts";
import { placesOf as placesOfProgram, type VmPrograms } from "./programs.ts";
import type { SavedImage } from "./saved/wake.ts";
import type { MachineImage } from "./template/files.ts";
import type { TemplateLease } from "./template/loaded.ts";

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
  readonly nodes: DeviceNodes;
  readonly memoryBytes: number;
  /** What the machine starts from; without either, it boots. */
  readonly template?: TemplateLease;
  readonly saved?: SavedImage;
  /** It is given its image later. */
  readonly waits?: boolean;
  /** There is a layer in its place for it to rehearse with. */
  readonly rehearses?: boolean;
  /** Makes the taps (cables.ts), if somebody else has not. */
  readonly lay?: () => void;
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
    ...(parts.rehearses ? { rehearses: true } : {}),
    qemu: programs.qemu,
    acceleration: facts.acceleration,
    kvm: facts.kvm,
    layout,
    cgroup: jailCgroup(spec.id),
    user: jailUser(spec),
    nodes: hasUserNamespace(spec) ? await nodesOf(parts) : {},
    memoryBytes,
    diskBytes: diskBytesOf(spec),
    processors: processorsOf(spec.resources),
    kernel: programs.kernel,
    initramfs: programs.initramfs,
    discard: programs.discard,
    thaw: programs.thaw,
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

async function nodesOf({ spec, facts, nodes }: MachineParts): Promise<NonNullable<JailFacts["nodes"]>> {
  const { kvm } = facts;
  return {
    ...(kvm === undefined ? {} : { kvm: await nodes.pathOf({ name: "kvm", ...kvm }) }),
    ...((spec.network?.taps.length ?? 0) === 0
      ? {}
      : { tunnel: await nodes.pathOf({ name: "tun", ...tunnel }) }),
  };
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
  const isProcess = template?.image.process !== undefined;
  return { template: { step: "restore", memory: jailed.memory, layerPlaces, emptyBytes, isProcess } };
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
    const share = `${layout.root}${jailed.share}`;
    await mkdir(share, { recursive: true, mode: 0o755 });
    if (hasUserNamespace(spec)) await giveAway(spec, layout, share);
    await mkdir(layout.sockets, { recursive: true, mode: 0o711 });
  } catch (error) {
    throw explainWriteError(error, "the machine's files", spec.runtimeDirectory);
  }
}

/**
 * The OCI runtime finishes the jail as the root of its name space: it has to get from the bundle to the jail's root,
 * and to make in there the places that things are mounted on.
 */
async function giveAway(spec: SandboxSpec, layout: VmLayout, share: string): Promise<void> {
  const owner = jailUser(spec);
  for (const path of [layout.root, share]) await chown(path, owner, owner);
  await mkdir(layout.bundle, { recursive: true });
  for (const path of [spec.runtimeDirectory, layout.bundle]) await chmod(path, 0o711);
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

export function memoryOf({ memoryBytes }: Resources): number {
  if (memoryBytes === 0) return defaultMemory;
  if (memoryBytes >= smallestMemory) return Math.ceil(memoryBytes / mebibyte) * mebibyte;
  throw new HullError("invalidParameter", {
    what: "memory",
    value: memoryBytes,
    why: `a virtual machine needs at least ${smallestMemory / mebibyte} MiB`,
  });
}
