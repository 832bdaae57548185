/**
 * The vm wall: a workload has a kernel of its own on virtual hardware. QEMU runs in a jail (jail.ts) that
 * ../oci/runtime.ts watches; the agent (guest/agent) is PID 1 in the guest and starts the workload.
 *
 * A sandbox's files: `disks/` (the writable layer, disk.ts) and `suspended/` (saved/files.ts) in its directory, which
 * outlives it; everything else in its runtime directory (layout.ts).
 */
import { existsSync } from "node:fs";
import * as v from "valibot";
import { HullError, messageOf } from "../../contract/errors.ts";
import { type Logger, silentLogger } from "../../contract/logger.ts";
import { removeIdleCgroupParent } from "../oci/cgroup-parent.ts";
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
import type { AgentConnection } from "./agent.ts";
import { maximumLayers } from "./arguments.ts";
import { planCables } from "./cables.ts";
import { DeviceNodes } from "./device-nodes.ts";
import { readExit } from "./exit-record.ts";
import { greet, RestoreFailure } from "./greet.ts";
import { VmHost, type VmHostOptions } from "./host.ts";
import { jailUser } from "./jail-identity.ts";
import { layoutOf, type VmLayout } from "./layout.ts";
import { jailOptions, type MachineParts, memoryOf, placesOf, processorsOf } from "./machine.ts";
import { newState, readState } from "./machine-state.ts";
import { makeMachine } from "./make.ts";
import { type Places, Pool } from "./pool/pool.ts";
import { claimWaiting, makeWaiting, removeWaiting, type WaitingMachine } from "./pool/waiting.ts";
import { qmp } from "./qmp.ts";
import type { WriteRehearsalLayer } from "./rehearsal.ts";
import { VmSandbox } from "./sandbox.ts";
import type { MachineState } from "./sandbox-parts.ts";
import { isSaved, type StepTaken } from "./saved/files.ts";
import { goOn, release } from "./saved/hold.ts";
import { Saver } from "./saved/saver.ts";
import type { SavedImage } from "./saved/wake.ts";
import { type MachineSize, placesFor } from "./template/key.ts";
import { TemplateManager } from "./template/manager.ts";
import { TemplateStarts } from "./template/starts.ts";

export interface VmWallOptions extends VmHostOptions {
  /** Where templates are kept; outlives a reboot. */
  readonly templateDirectory: string;
  /** Whether machines start from templates; otherwise each boots. By default they do. */
  readonly templates?: boolean;
  readonly log?: Logger;
  /** Machines that wait for an image; without it, none do. */
  readonly pool?: { readonly size: number; readonly places: Places };
  /** Without it, machines that wait, and templates with the root of an image, rehearse nothing. */
  readonly writeRehearsalLayer?: WriteRehearsalLayer;
  /** Called after each step of saving a machine, for tests. */
  readonly step?: StepTaken;
}

export function createVmWall(options: VmWallOptions): VmWall {
  return new VmWall(options);
}

export class VmWall implements Wall {
  readonly kind = "vm";
  readonly layerNames = ["disks"];
  readonly templates: Templates;
  readonly #host: VmHost;
  readonly #starts: TemplateStarts;
  readonly #options: VmWallOptions;
  readonly #log: Logger;
  readonly #sandboxes = new Set<VmSandbox>();
  readonly #saver: Saver;
  readonly #pool: Pool<WaitingMachine>;
  readonly #nodes: DeviceNodes;

  constructor(options: VmWallOptions) {
    this.#options = options;
    this.#log = options.log ?? silentLogger;
    const { templateDirectory, stateDirectory } = options;
    const host = new VmHost(options);
    this.#host = host;
    this.#starts = new TemplateStarts({
      host,
      enabled: options.templates !== false,
      stateDirectory,
      templateDirectory,
      log: this.#log,
      make: (parts) => this.#make(parts),
      writeRehearsalLayer: options.writeRehearsalLayer,
      started: (spec) => this.#noteStart(spec),
      refined: () => this.#pool.fillLater(),
    });
    const { store } = this.#starts;
    this.templates = new TemplateManager(store, () => host.parts());
    this.#nodes = new DeviceNodes(`${stateDirectory}/devices`);
    this.#saver = new Saver({
      host: async () => {
        const { programs, facts } = await host.parts();
        return { acceleration: facts.acceleration, qemu: (await store.sums(programs)).qemu };
      },
      make: (spec, saved, state) => this.#fromSaved(spec, saved, state),
      step: options.step ?? (() => undefined),
    });
    this.#pool = new Pool({
      size: options.templates === false ? 0 : (options.pool?.size ?? 0),
      places: options.pool?.places ?? ((id) => ({ directory: id, runtimeDirectory: id })),
      stateDirectory,
      log: this.#log,
      canWaitWith: (layers) => this.#starts.canWaitWith(layers, waitingSize(layers)),
      make: (spec) => this.#makeWaiting(spec),
      remove: (spec) => removeWaiting({ spec, layout: layoutOf(spec), runtime: host.oci() }),
    });
  }

  features(): Promise<WallFeatures> {
    return this.#host.features();
  }

  featuresSoFar(): WallFeatures {
    return this.#host.featuresSoFar();
  }

  delay(spec: SandboxSpec): Promise<string | undefined> {
    return this.#starts.delay(spec);
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
    const host = await this.#host.parts();
    const memoryBytes = memoryOf(spec.resources);
    checkLayers(spec);
    const layout = layoutOf(spec);
    const waited = await this.#fromPool(spec);
    if (waited !== undefined) return this.#keep(waited);
    const cables = planCables(spec, jailUser(spec));
    const parts = { ...cables, ...host, layout, nodes: this.#nodes, memoryBytes };
    return this.#keep((await this.#starts.start(parts)) ?? (await this.#make(parts)));
  }

  /** Those that are not taken away yet are let go when the daemon ends. */
  #keep(sandbox: VmSandbox): VmSandbox {
    this.#sandboxes.add(sandbox);
    void sandbox.gone.then(() => this.#sandboxes.delete(sandbox));
    return sandbox;
  }

  /** One of those that wait. */
  prepared(resources: Resources, layers: readonly string[]): PreparedSandbox | undefined {
    return isDefault(resources) && layers.length <= poolPlaces ? this.#pool.offer(layers) : undefined;
  }

  async forgetLayers(paths: readonly string[]): Promise<void> {
    await Promise.all([this.#starts.forgetLayers(paths), this.#pool.forgetLayers(paths)]);
  }

  /** What could not have had a machine that waited is none that one should wait for. */
  #noteStart(spec: SandboxSpec): void {
    if (misfitOf(spec) === undefined) this.#pool.started(spec.layers);
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
      const state = {
        ...newState(spec, memoryBytes, placesOf({ template })),
        freshDisk: true,
        wiredCards: true,
      };
      const claimed = await claimWaiting(waiting, spec, state, { saver: this.#saver, log: this.#log });
      this.#noteStart(spec);
      void this.#starts.startedWaiting(spec, waitingSize(spec.layers)).catch((error: unknown) => {
        this.#log.debug("a start could not be counted", { name: spec.name, why: messageOf(error) });
      });
      return claimed;
    } catch (error) {
      const name = spec.name;
      this.#log.info("a virtual machine that waited could not be used", { name, why: messageOf(error) });
      waiting.agent.close();
      await removeWaiting(waiting.parts);
      return undefined;
    }
  }

  async #makeWaiting(spec: SandboxSpec): Promise<WaitingMachine> {
    const host = await this.#host.parts();
    const size = waitingSize(spec.layers);
    using template = await this.#starts.forWaiting(size, host, spec.layers);
    const layout = layoutOf(spec);
    const { memoryBytes } = size;
    const parts = { spec, ...host, layout, nodes: this.#nodes, memoryBytes, template };
    try {
      return await makeWaiting(parts, this.#options.writeRehearsalLayer);
    } catch (error) {
      if (error instanceof RestoreFailure) this.#starts.refused(template);
      throw error;
    }
  }

  /** Makes what a daemon that was killed left of a template, or of machines that waited, go. */
  async cleanUp(): Promise<void> {
    const found = this.#host.find();
    if ("missing" in found) return;
    try {
      await this.#pool.cleanUp();
      await this.#starts.store.cleanUp(this.#host.oci(found));
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
    const runtime = this.#host.oci();
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
    await Promise.all([this.#pool.close(), this.#starts.close()]);
    this.#nodes.close();
    removeIdleCgroupParent();
  }

  /** A machine that goes on with what was saved of one. */
  async #fromSaved(spec: SandboxSpec, saved: SavedImage, state: MachineState): Promise<VmSandbox> {
    const host = await this.#host.parts();
    const { memoryBytes } = state;
    const layout = layoutOf(spec);
    const cables = planCables(spec, jailUser(spec));
    const parts = { ...cables, ...host, layout, nodes: this.#nodes, memoryBytes, saved };
    return this.#keep(await this.#make(parts, state));
  }

  #make(parts: MachineParts, state?: MachineState): Promise<VmSandbox> {
    const made = state ?? newState(parts.spec, parts.memoryBytes, placesOf(parts));
    return makeMachine(parts, made, { saver: this.#saver, log: this.#log });
  }
}

/** Layers of an image that fits a machine that waits. */
const poolPlaces = placesFor(6) ?? 6;

const defaultResources: Resources = { memoryBytes: 0, cpus: 0, pids: 0 };
/** Machines that wait are of the default size. */
const defaultSize = {
  memoryBytes: memoryOf(defaultResources),
  processors: processorsOf(defaultResources),
};

/** With an image's root, they have the places of its template; otherwise, those for any image that fits. */
function waitingSize(layers: readonly string[]): MachineSize {
  const places = layers.length === 0 ? undefined : placesFor(layers.length);
  return { ...defaultSize, layerPlaces: places ?? poolPlaces };
}

function isDefault(resources: Resources): boolean {
  const { memoryBytes, processors } = defaultSize;
  return memoryOf(resources) === memoryBytes && processorsOf(resources) === processors;
}

/** Why a workload cannot have a machine that waited. */
function misfitOf({ resources, layers, mounts, storageBytes }: SandboxSpec): string | undefined {
  if (storageBytes !== undefined || !isDefault(resources) || layers.length > poolPlaces)
    return "it is of another size";
  return mounts?.some(({ type }) => type === "bind") ? "the workload has volumes or binds" : undefined;
}

function checkLayers({ layers }: SandboxSpec): void {
  if (layers.length > maximumLayers)
    throw new HullError("tooLarge", {
      what: "the image",
      value: `${layers.length} layers`,
      limit: `${maximumLayers} layers of the vm wall`,
    });
}

async function isPaused(layout: VmLayout): Promise<boolean> {
  const answer = await qmp(layout.monitorSocket, "query-status").catch(() => undefined);
  return v.is(v.looseObject({ status: v.literal("paused") }), answer);
}
