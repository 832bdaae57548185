/**
 * Makes a template: boots a machine whose disks are all empty up to its agent, in a jail like any other, and
 * takes its memory, the state of its devices, and the disk that new workloads get. Nothing of a workload is in it, and of an
 * image only if it is a refined one (images.ts).
 *
 * The jail's files are in STATE/builds/NAME, so that what a daemon that was killed left can be found.
 */
import { randomBytes } from "node:crypto";
import { closeSync, openSync } from "node:fs";
import { mkdir, readdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { HullError, messageOf } from "../../../contract/errors.ts";
import { canLimitSwap } from "../../../host/cgroup.ts";
import { createMemoryFile, sealMemoryFile, usedBytes } from "../../../host/memory-file.ts";
import { errnoNameOf } from "../../../host/system-error.ts";
import type { ContainerOptions, OciContainer, OciRuntime } from "../../oci/runtime.ts";
import type { ProcessSpec, SandboxNetwork, SandboxSpec } from "../../wall.ts";
import type { AccelerationFacts } from "../acceleration.ts";
import { AgentConnection } from "../agent.ts";
import { makeBlindNetwork, makeTaps } from "../cables.ts";
import { consoleTail } from "../console.ts";
import { createJail } from "../create-jail.ts";
import { copyData, diskBytes, fileName, prepareDisk } from "../disk.ts";
import { jailConfig } from "../jail.ts";
import { emptyingOf, fillingOf } from "../layer-places.ts";
import { jailCgroup, jailed, jailId, layoutOf, type VmLayout } from "../layout.ts";
import { letRead } from "../machine.ts";
import { placesOf, type VmPrograms } from "../programs.ts";
import { phases, verbs } from "../protocol.ts";
import { qmp } from "../qmp.ts";
import { rehearse, type WriteRehearsalLayer } from "../rehearsal.ts";
import { prepareRootBody, startTimeout } from "../start.ts";
import type { TemplateImage } from "./files.ts";
import type { MachineSize } from "./key.ts";
import type { TemplateLease } from "./loaded.ts";
import { freeze } from "./process.ts";
import { loadState, saveState } from "./state.ts";

export interface BuildParts {
  readonly key: string;
  readonly size: MachineSize;
  readonly runtime: OciRuntime;
  readonly programs: VmPrograms;
  readonly facts: AccelerationFacts;
  /** Gone after a reboot. */
  readonly stateDirectory: string;
  /** The daemon ends. */
  readonly signal: AbortSignal;
  readonly refined?: Refinement;
}

/** A template that is made of another one: it has the root of an image, for workloads that are new. */
export interface Refinement {
  readonly base: TemplateLease;
  /** None, of one for machines that wait for theirs. */
  readonly layers: readonly string[];
  /** What a workload of the image has started with. */
  readonly process: Pick<ProcessSpec, "args" | "env">;
  /** See images.ts. */
  readonly asProcess?: boolean | undefined;
  /** Without it, its machine rehearses nothing. */
  readonly writeRehearsalLayer?: WriteRehearsalLayer | undefined;
}

/** Milliseconds: a boot, on a host that may be busy. */
const bootTimeout = 120_000;
const saveTimeout = 60_000;
const consoleLimit = 64 * 1024;

export async function buildImage(parts: BuildParts): Promise<TemplateImage> {
  const { size, runtime, stateDirectory, refined } = parts;
  const base = refined?.base.image;
  // Daemons beside each other may make the same template.
  const name = `${parts.key.slice(0, 8)}-${randomBytes(4).toString("hex")}`;
  const layout = layoutOfBuild(stateDirectory, name);
  const options = jailOptions(name, layout);
  await using undo = new AsyncDisposableStack();
  const memory = createMemoryFile("template", size.memoryBytes);
  let done = false;
  undo.defer(() => {
    if (!done) closeSync(memory);
  });
  let disk: number | undefined;
  undo.defer(() => {
    if (!done && disk !== undefined) closeSync(disk);
  });
  undo.defer(() => removeBuild(runtime, stateDirectory, name));
  await mkdir(`${layout.root}${jailed.share}`, { recursive: true, mode: 0o755 });
  await mkdir(layout.sockets, { recursive: true, mode: 0o711 });
  await prepareDisk({ directory: layout.disks, bytes: diskBytes, owner: jailUser(name) }, base?.disk);
  if (base !== undefined) copyData(base.memory, memory, size.memoryBytes);
  // A process keeps what its cards have behind them: each copy may need all of its taps.
  using network =
    refined === undefined ? makeBlindNetwork(undefined, jailUser(name)) : wiredNetwork(jailUser(name));
  const rehearsal = rehearsalOf(parts, layout);
  if (rehearsal !== undefined) {
    await parts.refined?.writeRehearsalLayer?.(rehearsal);
    await letRead(rehearsal);
  }
  const config = await configOf(parts, layout, name, network.network);
  const before = refined?.base.openDevices();
  const more = before === undefined ? [memory] : [memory, before];
  const container = await createJail(runtime, config, layout, options, more).finally(() => {
    if (before !== undefined) closeSync(before);
  });
  await container.start();
  const state = await runAndSave(container, layout, parts, rehearsal !== undefined);
  undo.defer(() => {
    if (!done && state.process !== undefined) closeSync(state.process);
  });
  await runtime.delete(options);
  // Fails if QEMU were still there to change it.
  sealMemoryFile(memory);
  disk = memoryFileOfDisk(join(layout.disks, fileName(0)));
  const used = usedBytes(memory, size.memoryBytes);
  done = true;
  return { disk, memory, memoryBytes: size.memoryBytes, usedBytes: used, ...state };
}

/** Ends and takes away what daemons that were killed left of their builds. */
export async function removeBuilds(runtime: OciRuntime, stateDirectory: string): Promise<void> {
  for (const name of await buildsIn(stateDirectory)) await removeBuild(runtime, stateDirectory, name);
}

/** Lets the machine come as far as the template is to be, and saves it there. */
async function runAndSave(
  container: OciContainer,
  layout: VmLayout,
  { signal: ending, refined, programs, facts }: BuildParts,
  rehearses: boolean,
): Promise<Pick<TemplateImage, "devices" | "process" | "notProcess">> {
  const isFrozen = refined !== undefined && refined.asProcess !== false && facts.acceleration === "tcg";
  const gone = new AbortController();
  void container.wait().then(
    () => gone.abort(),
    () => gone.abort(),
  );
  const signal = AbortSignal.any([gone.signal, ending]);
  try {
    if (refined !== undefined) await loadState(layout, { timeout: bootTimeout, signal });
    const agent = await AgentConnection.open(layout.agentSocket, { timeout: bootTimeout, signal });
    if (refined !== undefined) {
      for (const path of refined.layers) await letRead(path);
      if (rehearses) {
        await rehearse(agent, rehearsalSpec(layout));
        const given = refined.layers.length === 0 ? emptyingOf() : fillingOf(refined.layers.length);
        await qmp(layout.monitorSocket, given, { signal });
      }
      if (refined.layers.length > 0)
        await agent.request(verbs.prepareRoot, prepareRootBody(refined), startTimeout);
    }
    agent.close();
    if (agent.welcome.phase !== phases.booted) throw new Error("the agent has been told of a workload");
    const frozen = isFrozen ? await freeze(layout, container, programs.freeze, ending) : undefined;
    if (frozen !== undefined && "process" in frozen) return { devices: Buffer.alloc(0), ...frozen };
    return { devices: await saveState(layout, { timeout: saveTimeout, signal }), ...frozen };
  } catch (error) {
    const tail = consoleTail(layout.console);
    throw new HullError(
      "internal",
      {
        what: `a template of virtual machines could not be made: ${messageOf(error)}${tail === "" ? "" : ` (console: ${tail})`}`,
      },
      { cause: error },
    );
  }
}

/** Where the layer is that the machine rehearses with: an emulator translates what it runs for the first time. */
function rehearsalOf({ refined, facts }: BuildParts, layout: VmLayout): string | undefined {
  const rehearses = refined?.writeRehearsalLayer !== undefined && facts.acceleration === "tcg";
  return rehearses ? join(dirname(layout.disks), "rehearsal") : undefined;
}

/** Of nobody: what a workload is in the words of a set-up. */
function rehearsalSpec({ console: logPath, disks, root }: VmLayout): SandboxSpec {
  return {
    ...{ id: "rehearsal", name: "rehearsal", hostname: "rehearsal", layers: [], readOnlyRoot: false },
    ...{ directory: disks, runtimeDirectory: root, logPath },
    resources: { memoryBytes: 0, cpus: 0, pids: 0 },
    process: {
      ...{ args: [], env: [], cwd: "/", user: "", capabilities: [] },
      ...{ terminal: false, stdin: false, stdinOnce: false },
    },
  };
}

function wiredNetwork(owner: number) {
  const { namespace, taps } = makeTaps(owner);
  const network: SandboxNetwork = { namespace: namespace.path, taps, interfaces: [], routes: [] };
  return { network, [Symbol.dispose]: () => namespace[Symbol.dispose]() };
}

async function configOf(
  parts: BuildParts,
  layout: VmLayout,
  name: string,
  { namespace = "", taps }: SandboxNetwork,
) {
  const { size, runtime, programs, facts, refined } = parts;
  const rehearsal = rehearsalOf(parts, layout);
  const spec = { id: "template", layers: refined?.layers ?? [], mounts: [] };
  return jailConfig(spec, {
    qemu: programs.qemu,
    acceleration: facts.acceleration,
    kvm: facts.kvm,
    layout,
    cgroup: jailCgroup(idOf(name)),
    user: jailUser(name),
    memoryBytes: size.memoryBytes,
    diskBytes,
    disks: [fileName(0)],
    freshDisk: true,
    processors: size.processors,
    kernel: programs.kernel,
    initramfs: programs.initramfs,
    discard: programs.discard,
    thaw: programs.thaw,
    programs: await placesOf(programs.qemu),
    canLimitSwap: canLimitSwap(runtime.cgroups),
    network: { namespace, taps },
    ...(rehearsal === undefined ? {} : { rehearsal }),
    template: {
      step: refined === undefined ? "save" : "refine",
      memory: jailed.memory,
      layerPlaces: size.layerPlaces,
      emptyBytes: 0,
    },
  });
}

function jailOptions(name: string, layout: VmLayout): ContainerOptions {
  return {
    id: jailId(idOf(name)),
    name: idOf(name),
    wall: "vm",
    bundle: layout.bundle,
    cgroup: jailCgroup(idOf(name)),
    logPath: layout.console,
    logLimit: consoleLimit,
    terminal: false,
    stdin: false,
    stdinOnce: false,
    user: "",
  };
}

async function removeBuild(runtime: OciRuntime, stateDirectory: string, name: string): Promise<void> {
  const layout = layoutOfBuild(stateDirectory, name);
  await runtime.delete(jailOptions(name, layout));
  await rm(`${stateDirectory}/builds/${name}`, { recursive: true, force: true });
}

async function buildsIn(stateDirectory: string): Promise<string[]> {
  try {
    return await readdir(`${stateDirectory}/builds`);
  } catch (error) {
    if (errnoNameOf(error) === "ENOENT") return [];
    throw error;
  }
}

function layoutOfBuild(stateDirectory: string, name: string): VmLayout {
  const place = `${stateDirectory}/builds/${name}`;
  return layoutOf({ runtimeDirectory: place, directory: place });
}

function idOf(name: string): string {
  return `template-${name}`;
}

/** A user of its own, as every virtual machine's QEMU has one; below those of workloads. */
function jailUser(name: string): number {
  return 0x6f000000 + Number.parseInt(name.slice(-8, -2), 16);
}

/** The caller closes it. */
function memoryFileOfDisk(path: string): number {
  const file = openSync(path, "r");
  const memory = createMemoryFile("disk", diskBytes);
  try {
    copyData(file, memory, diskBytes);
    sealMemoryFile(memory);
    return memory;
  } catch (error) {
    closeSync(memory);
    throw error;
  } finally {
    closeSync(file);
  }
}
