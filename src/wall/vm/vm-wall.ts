/**
 * The vm wall: a workload has a kernel of its own on virtual hardware. QEMU runs in a jail (jail.ts) that
 * ../oci/runtime.ts watches; the agent (guest/agent) is PID 1 in the guest and starts the workload.
 *
 * A sandbox's files: `disks/` (the writable layer, disk.ts) and `suspended/` (saved/files.ts) in its directory, which
 * outlives it; everything else in its runtime directory (layout.ts).
 */
import { existsSync, readFileSync } from "node:fs";
import * as v from "valibot";
import { HullError, messageOf } from "../../contract/errors.ts";
import { type Logger, silentLogger } from "../../contract/logger.ts";
import { errnoNameOf } from "../../host/system-error.ts";
import { removeIdleCgroupParent } from "../oci/cgroup-parent.ts";
import { OciRuntime } from "../oci/runtime.ts";
import { removeRests } from "../suspended.ts";
import type { Templates } from "../templates.ts";
import type {
  OpenFiles,
  PreparedSandbox,
  Resources,
  Sandbox,
  SandboxSpec,
  Wall,
  WallFeatures,
} from "../wall.ts";
import { type AccelerationFacts, AccelerationProbe } from "./acceleration.ts";
import type { AgentConnection } from "./agent.ts";
import { maximumLayers } from "./arguments.ts";
import { planCables } from "./cables.ts";
import { DeviceNodes } from "./device-nodes.ts";
import { diskFiles } from "./disk.ts";
import { readExit } from "./exit-record.ts";
import { greet, RestoreFailure } from "./greet.ts";
import { jailUser } from "./jail-identity.ts";
import { layoutOf, type VmLayout } from "./layout.ts";
import { jailOptions, type MachineParts, memoryOf, placesOf, processorsOf } from "./machine.ts";
import { makeMachine } from "./make.ts";
import { logSize } from "./output-log.ts";
import { type Places, Pool } from "./pool/pool.ts";
import type { WriteRehearsalLayer } from "./pool/rehearsal.ts";
import { claimWaiting, makeWaiting, removeWaiting, type WaitingMachine } from "./pool/waiting.ts";
import { findPrograms, type Missing, type VmPrograms } from "./programs.ts";
import { qmp } from "./qmp.ts";
import { VmSandbox } from "./sandbox.ts";
import type { MachineState } from "./sandbox-parts.ts";
import { isSaved, type StepTaken } from "./saved/files.ts";
import { goOn, release } from "./saved/hold.ts";
import { Saver } from "./saved/saver.ts";
import type { SavedImage } from "./saved/wake.ts";
import type { TemplateImage } from "./template/files.ts";
import { ImageTemplates, type RootedSize } from "./template/images.ts";
import { type MachineSize, placesFor } from "./template/key.ts";
import type { TemplateLease } from "./template/loaded.ts";
import { TemplateManager } from "./template/manager.ts";
import { TemplateStore } from "./template/store.ts";

export interface VmWallOptions {
  /** What guest/build.sh made. */
  readonly guestDirectory: string;
  /** Gone after a reboot. */
  readonly stateDirectory: string;
  /** Where templates are kept; outlives a reboot. */
  readonly templateDirectory: string;
  /** Whether machines start from templates; otherwise each boots. By default they do. */
  readonly templates?: boolean;
  readonly log?: Logger;
  /** Refuses to run without hardware virtualization. */
  readonly requireKvm: boolean;
  /** Names looked up in PATH, or paths. */
  readonly runtime: string;
  readonly conmon: string;
  readonly qemu: string;
  /** Machines that wait for an image; without it, none do. */
  readonly pool?: {
    readonly size: number;
    readonly places: Places;
    /** Without it, they rehearse nothing. */
    readonly writeRehearsalLayer?: WriteRehearsalLayer;
  };
  /** Called after each step of saving a machine, for tests. */
  readonly step?: StepTaken;
}

const stateSchema = v.object({
  logStart: v.number(),
  logOffset: v.tuple([v.number(), v.number()]),
  memoryBytes: v.number(),
  layerPlaces: v.nullable(v.number()),
  freshDisk: v.boolean(),
});

export function createVmWall(options: VmWallOptions): VmWall {
  return new VmWall(options);
}

export class VmWall implements Wall {
  readonly kind = "vm";
  readonly layerNames = ["disks"];
  readonly templates: Templates;
  readonly #store: TemplateStore;
  readonly #images: ImageTemplates;
  readonly #options: VmWallOptions;
  readonly #log: Logger;
  readonly #probe: AccelerationProbe;
  readonly #sandboxes = new Set<VmSandbox>();
  readonly #saver: Saver;
  readonly #pool: Pool<WaitingMachine>;
  readonly #nodes: DeviceNodes;
  #runtime: OciRuntime | undefined;

  constructor(options: VmWallOptions) {
    this.#options = options;
    this.#log = options.log ?? silentLogger;
    const { templateDirectory: directory, stateDirectory } = options;
    this.#images = new ImageTemplates({ log: this.#log, make: (...what) => this.#refine(...what) });
    const removed = (key: string): void => this.#images.forgetThoseOf(key);
    this.#store = new TemplateStore({ directory, stateDirectory, log: this.#log, removed });
    this.templates = new TemplateManager(this.#store, async () => {
      const programs = this.#programs();
      return { programs, runtime: this.#oci(programs), facts: await this.#acceleration(programs) };
    });
    this.#probe = new AccelerationProbe(options);
    this.#nodes = new DeviceNodes(`${stateDirectory}/devices`);
    this.#saver = new Saver({
      host: async () => {
        const programs = this.#programs();
        const { acceleration } = await this.#acceleration(programs);
        return { acceleration, qemu: (await this.#store.sums(programs)).qemu };
      },
      make: (spec, saved, state) => this.#fromSaved(spec, saved, state),
      step: options.step ?? (() => undefined),
    });
    this.#pool = new Pool({
      size: options.templates === false ? 0 : (options.pool?.size ?? 0),
      places: options.pool?.places ?? ((id) => ({ directory: id, runtimeDirectory: id })),
      stateDirectory,
      log: this.#log,
      make: (spec) => this.#makeWaiting(spec),
      remove: (spec) => removeWaiting({ spec, layout: layoutOf(spec), runtime: this.#oci(this.#programs()) }),
    });
  }

  async features(): Promise<WallFeatures> {
    const found = findPrograms(this.#options);
    if ("missing" in found) return missing(found);
    return this.#featuresBy(await this.#probe.look(found));
  }

  featuresSoFar(): WallFeatures {
    const found = findPrograms(this.#options);
    if ("missing" in found) return missing(found);
    const facts = this.#probe.known();
    if (facts !== undefined) return this.#featuresBy(facts);
    const warning = "whether this host runs guests with KVM is tried when the first virtual machine is made";
    return { label: "vm (untried)", sharesKernel: false, warning };
  }

  #featuresBy(facts: AccelerationFacts): WallFeatures {
    const label = facts.acceleration === "kvm" ? "vm" : "vm (tcg)";
    if (facts.acceleration === "tcg" && this.#options.requireKvm)
      return { label, sharesKernel: false, unavailable: `vm.requireKvm is set, but ${facts.why}` };
    return {
      label,
      sharesKernel: false,
      ...(facts.acceleration === "tcg" ? { warning: tcgWarning(facts) } : {}),
    };
  }

  async delay({ resources, layers }: SandboxSpec): Promise<string | undefined> {
    const found = findPrograms(this.#options);
    const layerPlaces = placesFor(layers.length);
    if (this.#options.templates === false || "missing" in found || layerPlaces === undefined)
      return undefined;
    const facts = await this.#probe.look(found);
    let size: MachineSize;
    try {
      size = { memoryBytes: memoryOf(resources), processors: processorsOf(resources), layerPlaces };
    } catch {
      // What is wrong with the size is for the start to say.
      return undefined;
    }
    if (await this.#store.has(size, { programs: found, facts })) return undefined;
    return `the first virtual machine of ${size.memoryBytes / 2 ** 20} MiB and ${size.processors} CPU waits until its template is made, once`;
  }

  create(spec: SandboxSpec): Promise<Sandbox> {
    return this.#create(spec);
  }

  /** The disk's file system is the guest's word: only a guest ever looks into it. */
  async openFiles(spec: SandboxSpec): Promise<OpenFiles> {
    const sandbox = await this.#create(spec);
    return {
      files: sandbox.files,
      [Symbol.asyncDispose]: async () => {
        try {
          await sandbox.shutDown();
        } finally {
          await sandbox.remove();
        }
      },
    };
  }

  async #create(spec: SandboxSpec): Promise<VmSandbox> {
    const programs = this.#programs();
    const facts = await this.#acceleration(programs);
    const memoryBytes = memoryOf(spec.resources);
    checkLayers(spec);
    const layout = layoutOf(spec);
    const runtime = this.#oci(programs);
    const waited = await this.#fromPool(spec);
    if (waited !== undefined) return this.#keep(waited);
    const cables = planCables(spec, jailUser(spec));
    const nodes = this.#nodes;
    const parts = { ...cables, layout, runtime, programs, facts, nodes, memoryBytes };
    return this.#keep((await this.#fromTemplate(parts)) ?? (await this.#make(parts)));
  }

  /** Those that are not taken away yet are let go when the daemon ends. */
  #keep(sandbox: VmSandbox): VmSandbox {
    this.#sandboxes.add(sandbox);
    void sandbox.gone.then(() => this.#sandboxes.delete(sandbox));
    return sandbox;
  }

  /** One of those that wait. */
  prepared(resources: Resources, layers: number): PreparedSandbox | undefined {
    return isDefault(resources) && layers <= poolPlaces ? this.#pool.offer() : undefined;
  }

  /** Has as many machines wait for an image as the configuration wants. */
  fillPool(): Promise<void> {
    return this.#pool.fill();
  }

  /** Undefined when none waits for this workload, or it does not fit. */
  async #fromPool(spec: SandboxSpec): Promise<VmSandbox | undefined> {
    const waiting = await this.#pool.take(spec.id);
    if (waiting === undefined) return undefined;
    const { memoryBytes, template } = waiting.parts;
    try {
      const why = misfitOf(spec);
      if (why !== undefined) throw new Error(why);
      const state = { ...newState(spec, memoryBytes, placesOf({ template })), freshDisk: true };
      return await claimWaiting(waiting, spec, state, { saver: this.#saver, log: this.#log });
    } catch (error) {
      const name = spec.name;
      this.#log.info("a virtual machine that waited could not be used", { name, why: messageOf(error) });
      waiting.agent.close();
      await removeWaiting(waiting.parts);
      return undefined;
    }
  }

  async #makeWaiting(spec: SandboxSpec): Promise<WaitingMachine> {
    const programs = this.#programs();
    const facts = await this.#acceleration(programs);
    const memoryBytes = memoryOf(spec.resources);
    const size = { memoryBytes, processors: processorsOf(spec.resources), layerPlaces: poolPlaces };
    const runtime = this.#oci(programs);
    using template = await this.#store.lease(size, { runtime, programs, facts });
    const layout = layoutOf(spec);
    const nodes = this.#nodes;
    const parts = { spec, layout, runtime, programs, facts, nodes, memoryBytes, template, waits: true };
    return await makeWaiting(parts, this.#options.pool?.writeRehearsalLayer);
  }

  /** Makes what a daemon that was killed left of a template, or of machines that waited, go. */
  async cleanUp(): Promise<void> {
    const found = findPrograms(this.#options);
    if ("missing" in found) return;
    try {
      await this.#pool.cleanUp();
      await this.#store.cleanUp(this.#oci(found));
    } catch (error) {
      this.#log.warn("what was left half-made of a template stays", { why: messageOf(error) });
    }
  }

  revive(spec: SandboxSpec): Promise<Sandbox> {
    return this.#saver.revive(spec);
  }

  async recover(spec: SandboxSpec): Promise<Sandbox | undefined> {
    await removeRests(spec.directory);
    if (!existsSync(spec.runtimeDirectory)) return undefined;
    const layout = layoutOf(spec);
    const runtime = this.#oci(this.#programs());
    const options = jailOptions(spec, layout);
    const container = runtime.recover(options);
    const state = readState(layout.state) ?? newState(spec, memoryOf(spec.resources), null);
    const exit = readExit(layout.exit);
    const saver = this.#saver;
    const sandbox = this.#keep(new VmSandbox({ spec, layout, runtime, container, state, exit, saver }));
    // What runs of a suspended workload has to go; it must not go on.
    if (exit !== undefined || container?.pid() === undefined || isSaved(spec.directory)) return sandbox;
    const isHeld = existsSync(layout.held);
    const connect = async (): Promise<AgentConnection> => {
      if (isHeld) await goOn(layout);
      const connection = await greet(spec, layout, container);
      if (isHeld) await release(connection, layout);
      return connection;
    };
    if (isHeld) sandbox.connect(connect());
    else if (await isPaused(layout)) sandbox.foundPaused(connect);
    else sandbox.connect(connect());
    return sandbox;
  }

  async close(): Promise<void> {
    for (const sandbox of this.#sandboxes) sandbox.letGo();
    this.#sandboxes.clear();
    // The pool waits for what it is making, which may wait for a template: that is abandoned.
    await Promise.all([this.#pool.close(), this.#images.close(), this.#store.close()]);
    this.#nodes.close();
    removeIdleCgroupParent();
  }

  /** Undefined when there can be no template, or it does not work: the machine has to boot. The log says why. */
  async #fromTemplate(parts: MachineParts): Promise<VmSandbox | undefined> {
    if (this.#options.templates === false) return undefined;
    const { spec, runtime, programs, facts, memoryBytes } = parts;
    if (spec.storageBytes !== undefined) {
      this.#log.info("a virtual machine boots: templates have a disk of another size", { name: spec.name });
      return undefined;
    }
    const layerPlaces = placesFor(spec.layers.length);
    if (layerPlaces === undefined) {
      this.#log.info("a virtual machine boots: no template has places for so many layers", {
        name: spec.name,
        layers: spec.layers.length,
      });
      return undefined;
    }
    const size = { memoryBytes, processors: processorsOf(spec.resources), layerPlaces };
    let lease: TemplateLease;
    try {
      lease = await this.#store.lease(size, { runtime, programs, facts });
    } catch (error) {
      this.#log.warn("a virtual machine boots: there is no template for it", {
        name: spec.name,
        why: messageOf(error),
      });
      return undefined;
    }
    using template = lease;
    const rooted = { base: template.key, size, layers: spec.layers, process: spec.process };
    const isNew = (await diskFiles(parts.layout.disks)).length === 0;
    const fromImage = isNew ? await this.#fromImage(parts, rooted) : undefined;
    if (fromImage !== undefined) return fromImage;
    try {
      const made = await this.#make({ ...parts, template });
      if (isNew) await this.#images.started(rooted);
      return made;
    } catch (error) {
      if (!(error instanceof RestoreFailure)) throw error;
      this.#log.warn("a virtual machine boots: its template does not work and is made anew", {
        name: spec.name,
        template: template.key.slice(0, 12),
        why: messageOf(error),
      });
      await this.#store.remove(template.key);
      return undefined;
    }
  }

  /** Undefined when there is no template with the image's root, or it does not work. */
  async #fromImage(parts: MachineParts, rooted: RootedSize): Promise<VmSandbox | undefined> {
    using template = await this.#images.lease(rooted);
    if (template === undefined) return undefined;
    try {
      return await this.#make({ ...parts, template });
    } catch (error) {
      if (!(error instanceof RestoreFailure)) throw error;
      const why = messageOf(error);
      this.#log.warn("a template with the root of an image does not work", { name: parts.spec.name, why });
      this.#images.forget(template.key);
      return undefined;
    }
  }

  async #refine(
    key: string,
    { size, layers, process }: RootedSize,
    signal: AbortSignal,
  ): Promise<TemplateImage> {
    const programs = this.#programs();
    const facts = await this.#acceleration(programs);
    const host = { runtime: this.#oci(programs), programs, facts };
    using base = await this.#store.lease(size, host);
    return await this.#store.refine(key, { base, layers, process }, host, signal);
  }

  /** A machine that goes on with what was saved of one. */
  async #fromSaved(spec: SandboxSpec, saved: SavedImage, state: MachineState): Promise<VmSandbox> {
    const programs = this.#programs();
    const facts = await this.#acceleration(programs);
    const { memoryBytes } = state;
    const layout = layoutOf(spec);
    const cables = planCables(spec, jailUser(spec));
    const runtime = this.#oci(programs);
    const nodes = this.#nodes;
    const parts = { ...cables, layout, runtime, programs, facts, nodes, memoryBytes, saved };
    return this.#keep(await this.#make(parts, state));
  }

  #make(parts: MachineParts, state?: MachineState): Promise<VmSandbox> {
    const made = state ?? newState(parts.spec, parts.memoryBytes, placesOf(parts));
    return makeMachine(parts, made, { saver: this.#saver, log: this.#log });
  }

  #programs(): VmPrograms {
    const found = findPrograms(this.#options);
    if ("missing" in found) throw new HullError("hostMissing", { what: found.missing, remedy: found.remedy });
    return found;
  }

  async #acceleration(programs: VmPrograms): Promise<AccelerationFacts> {
    const facts = await this.#probe.look(programs);
    if (facts.acceleration === "tcg" && this.#options.requireKvm)
      throw new HullError("kvmRequired", { why: facts.why });
    return facts;
  }

  #oci(programs: VmPrograms): OciRuntime {
    this.#runtime ??= new OciRuntime({
      runtime: programs.runtime,
      conmon: programs.conmon,
      runtimeRoot: `${this.#options.stateDirectory}/oci`,
    });
    return this.#runtime;
  }
}

/** Layers of an image that fits a machine that waits. */
const poolPlaces = placesFor(6) ?? 6;

/** Machines that wait are of the default size. */
function isDefault(resources: Resources): boolean {
  const wanted = { memoryBytes: 0, cpus: 0, pids: 0 };
  return memoryOf(resources) === memoryOf(wanted) && processorsOf(resources) === processorsOf(wanted);
}

/** Why a workload cannot have a machine that waited. */
function misfitOf({ resources, layers, mounts, storageBytes }: SandboxSpec): string | undefined {
  if (storageBytes !== undefined || !isDefault(resources) || layers.length > poolPlaces)
    return "it is of another size";
  return mounts?.some(({ type }) => type === "bind") ? "the workload has volumes or binds" : undefined;
}

function newState(spec: SandboxSpec, memoryBytes: number, layerPlaces: number | null): MachineState {
  return { memoryBytes, layerPlaces, freshDisk: false, logStart: logSize(spec.logPath), logOffset: [0, 0] };
}

function checkLayers({ layers }: SandboxSpec): void {
  if (layers.length > maximumLayers)
    throw new HullError("tooLarge", {
      what: "the image",
      value: `${layers.length} layers`,
      limit: `${maximumLayers} layers of the vm wall`,
    });
}

function missing({ missing, remedy }: Missing): WallFeatures {
  return { label: "vm", sharesKernel: false, unavailable: `${missing}: ${remedy}` };
}

function tcgWarning({ why }: AccelerationFacts): string {
  return `the vm wall runs without hardware virtualization (${why}): software emulation (TCG) is slow and no security boundary`;
}

async function isPaused(layout: VmLayout): Promise<boolean> {
  const answer = await qmp(layout.monitorSocket, "query-status").catch(() => undefined);
  return v.is(v.looseObject({ status: v.literal("paused") }), answer);
}

function readState(path: string): v.InferOutput<typeof stateSchema> | undefined {
  try {
    return v.parse(stateSchema, JSON.parse(readFileSync(path, "utf8")));
  } catch (error) {
    // A daemon that was killed while making the sandbox may have left half of it.
    if (errnoNameOf(error) === "ENOENT" || error instanceof SyntaxError) return undefined;
    throw error;
  }
}
