/** Suspending, reviving and forking machines: what the wall has to know and to make for it. */
import { HullError } from "../../../contract/errors.ts";
import { removeSuspended } from "../../suspended.ts";
import type { Sandbox, SandboxSpec } from "../../wall.ts";
import type { Acceleration } from "../arguments.ts";
import { addDiskFile, diskBytesOf, diskFiles, linkDiskFiles } from "../disk.ts";
import { jailUser } from "../jail-identity.ts";
import { layoutOf } from "../layout.ts";
import { processorsOf } from "../machine.ts";
import type { MachineSaver, MachineState } from "../sandbox-parts.ts";
import { closeImage, readSaved, type StepTaken } from "./files.ts";
import { forkMachine, type LiveMachine, suspendMachine } from "./hold.ts";
import type { SavedImage } from "./wake.ts";

/** What decides whether a state that was saved is still understood. */
export interface SaverHost {
  readonly acceleration: Acceleration;
  /** Sum of QEMU's program. */
  readonly qemu: string;
}

export interface SaverOptions {
  readonly host: () => Promise<SaverHost>;
  /** Makes a sandbox of a saved machine. Nothing is left of a failed attempt. */
  readonly make: (spec: SandboxSpec, saved: SavedImage, state: MachineState) => Promise<Sandbox>;
  readonly step: StepTaken;
}

/** Siblings that are made at once. */
const atOnce = 4;

export class Saver implements MachineSaver {
  readonly #options: SaverOptions;

  constructor(options: SaverOptions) {
    this.#options = options;
  }

  async suspend(machine: LiveMachine, state: MachineState): Promise<void> {
    const { spec } = machine;
    const { memoryBytes, layerPlaces, freshDisk, wiredCards, logStart, logOffset } = state;
    const description = {
      ...(await this.#options.host()),
      id: spec.id,
      memoryBytes,
      processors: processorsOf(spec.resources),
      layerPlaces,
      freshDisk,
      wiredCards,
      logStart,
      logOffset: [logOffset[0], logOffset[1]] satisfies [number, number],
    };
    await suspendMachine(machine, description, this.#options.step);
  }

  async revive(spec: SandboxSpec): Promise<Sandbox> {
    const { name, directory } = spec;
    const saved = await readSaved(directory, name);
    try {
      const { acceleration, qemu } = await this.#options.host();
      const refuse = (why: string): HullError => new HullError("cannotResume", { name, why });
      if (saved.id !== spec.id) throw refuse("it is that of another container");
      if (saved.qemu !== qemu) throw refuse("QEMU was exchanged for another one meanwhile");
      if (saved.acceleration !== acceleration)
        throw refuse(`it ran with ${saved.acceleration}, and this host now has ${acceleration}`);
      const files = await diskFiles(layoutOf(spec).disks);
      if (files.join() !== saved.disks.join()) throw refuse("its writable disk is not the one it had");
      const { memoryBytes, logStart, logOffset, layerPlaces, freshDisk, wiredCards, image } = saved;
      const ready = async (): Promise<void> => {
        await removeSuspended(directory);
        this.#options.step("resume:used");
      };
      const state = { memoryBytes, logStart, logOffset, layerPlaces, freshDisk, wiredCards };
      return await this.#options.make(spec, { image, layerPlaces, another: false, ready }, state);
    } finally {
      closeImage(saved.image);
    }
  }

  async fork(
    machine: LiveMachine,
    state: MachineState,
    specs: readonly SandboxSpec[],
    received: readonly [number, number],
  ): Promise<Sandbox[]> {
    const { spec, layout } = machine;
    const disk = { directory: layout.disks, bytes: diskBytesOf(spec), owner: jailUser(spec) };
    const { image, base } = await forkMachine(machine, disk, this.#options.step);
    this.#options.step("fork:saved");
    await using undo = new AsyncDisposableStack();
    try {
      const waiting = [...specs];
      const made: Sandbox[] = [];
      const makeNext = async (): Promise<void> => {
        for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
          const parent = { image, base, from: layout.disks, state, received };
          const sandbox = await this.#sibling(next, parent).catch((error: unknown) => {
            // None of them is left: no more need be made.
            waiting.length = 0;
            throw error;
          });
          undo.defer(() => sandbox.remove());
          made.push(sandbox);
        }
      };
      const workers = await Promise.allSettled(Array.from({ length: atOnce }, makeNext));
      for (const worker of workers) if (worker.status === "rejected") throw worker.reason;
      undo.move();
      return specs.flatMap(({ id }) => made.find((sandbox) => sandbox.spec.id === id) ?? []);
    } finally {
      closeImage(image);
    }
  }

  async #sibling(
    spec: SandboxSpec,
    parent: {
      readonly image: SavedImage["image"];
      readonly base: readonly string[];
      readonly from: string;
      readonly state: MachineState;
      readonly received: readonly [number, number];
    },
  ): Promise<Sandbox> {
    const directory = layoutOf(spec).disks;
    await linkDiskFiles(parent.from, parent.base, directory);
    await addDiskFile({ directory, bytes: diskBytesOf(spec), owner: jailUser(spec) }, parent.base.length);
    const { memoryBytes, layerPlaces, freshDisk, wiredCards } = parent.state;
    const saved = { image: parent.image, layerPlaces, another: true, ready: () => Promise.resolve() };
    const [stdout, stderr] = parent.received;
    return await this.#options.make(spec, saved, {
      memoryBytes,
      layerPlaces,
      freshDisk,
      wiredCards,
      logStart: 0,
      logOffset: [stdout, stderr],
    });
  }
}
