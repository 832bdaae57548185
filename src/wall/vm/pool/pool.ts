/**
 * Machines of the default size that wait for a workload, so that a start finds one that is there already. Each has the root of
 * one image, or waits for its image, too.
 *
 *   cleanUp -> fill -> (offer -> take | given back | expiry)* -> close
 *
 * - What is made is of the image that was started last, of those that machines can wait with; without one, it is of none. Of
 *   several machines, one is of none: it fits every image. When the image that was started last has no machine, the one whose
 *   image was started longest ago makes room for one: once for each start at most, and after it.
 * - `offer` gives the id of one that waits (and the network name space that its cards are in), for a workload that is
 *   about to be made with that id, and keeps the machine for it for a while. `take` hands it over, once. An offer that is
 *   given back waits again. What is taken, has ended or could not be made is replaced in the background.
 * - A machine is noted in STATE/pool/ID before it is made, until it is taken: what a daemon that was killed left is ended
 *   by the next one. `close` ends all of them.
 */
import { randomBytes } from "node:crypto";
import { mkdir, readdir, rm, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { messageOf } from "../../../contract/errors.ts";
import type { Logger } from "../../../contract/logger.ts";
import { errnoNameOf } from "../../../host/system-error.ts";
import type { PreparedSandbox, SandboxSpec } from "../../wall.ts";

/** Where a workload of that id has its files. */
export type Places = (id: string) => Pick<SandboxSpec, "directory" | "runtimeDirectory">;

/** What the pool has to know of a machine. */
export interface PoolMachine {
  readonly spec: SandboxSpec;
  readonly container: { pid(): number | undefined };
  readonly agent: { readonly closed: Promise<unknown>; close(): void };
}

export interface PoolOptions<Machine> {
  /** Machines that wait; 0: there is no pool. */
  readonly size: number;
  /** Whether machines can wait with the root of the image that has these layers; by default none can. */
  readonly canWaitWith?: (layers: readonly string[]) => boolean;
  readonly stateDirectory: string;
  readonly places: Places;
  readonly log: Logger;
  /** With the root of the image whose layers are told. Nothing is left of a failed attempt but what `remove` takes away. */
  readonly make: (spec: SandboxSpec) => Promise<Machine>;
  readonly remove: (spec: SandboxSpec) => Promise<void>;
  /** Milliseconds that an offered machine is kept for the workload that has its id. */
  readonly keptFor?: number;
  /** Milliseconds after the last use: whoever starts now needs the processors. */
  readonly refillPause?: number;
}

const keptFor = 60_000;
const refillPause = 1000;
/** Images whose starts are known. */
const mostStarted = 256;

export class Pool<Machine extends PoolMachine> {
  readonly #options: PoolOptions<Machine>;
  readonly #directory: string;
  readonly #free = new Map<string, Machine>();
  readonly #offered = new Map<string, { readonly machine: Machine; readonly expiry: NodeJS.Timeout }>();
  readonly #removals = new Map<string, Promise<void>>();
  /** Layers of the images that were started; the last one is the last. */
  readonly #started = new Map<string, readonly string[]>();
  /** The one that is being made, until it waits or nothing is left of it; its layers may have gone meanwhile. */
  #making: { readonly spec: SandboxSpec; readonly end: Promise<void>; isGone: boolean } | undefined;
  #filling: Promise<void> | undefined;
  #refill: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: PoolOptions<Machine>) {
    this.#options = options;
    this.#directory = join(options.stateDirectory, "pool");
  }

  /** How many wait. */
  get waiting(): number {
    return this.#free.size;
  }

  /** Takes away what a daemon that was killed left. */
  async cleanUp(): Promise<void> {
    for (const id of await this.#noted()) {
      const spec = specOf(id, this.#options.places);
      await this.#options.remove(spec);
      await this.#forget(spec);
    }
  }

  /** Makes machines until there are enough; resolves when there are, or one could not be made. */
  fill(): Promise<void> {
    this.#filling ??= this.#fill().finally(() => {
      this.#filling = undefined;
    });
    return this.#filling;
  }

  /** Makes what is missing in a while, if anything is. */
  fillLater(): void {
    clearTimeout(this.#refill);
    if (this.#closed || this.#options.size === 0) return;
    this.#refill = setTimeout(() => void this.fill(), this.#options.refillPause ?? refillPause);
    this.#refill.unref();
  }

  /** A workload has started that a machine could have waited for. */
  started(layers: readonly string[]): void {
    const name = nameOf(layers);
    this.#started.delete(name);
    this.#started.set(name, layers);
    const [oldest] = this.#started.keys();
    if (this.#started.size > mostStarted && oldest !== undefined) this.#started.delete(oldest);
    this.fillLater();
  }

  /** Ends the machines of all images with one of these layers, which are no more. Resolves when they have gone. */
  async forgetLayers(paths: readonly string[]): Promise<void> {
    const gone = new Set(paths);
    const isOf = ({ layers }: SandboxSpec): boolean => layers.some((path) => gone.has(path));
    for (const [name, layers] of this.#started)
      if (layers.some((path) => gone.has(path))) this.#started.delete(name);
    const removals: (Promise<void> | undefined)[] = [];
    for (const machine of this.#free.values()) if (isOf(machine.spec)) removals.push(this.#end(machine));
    for (const [id, { machine }] of this.#offered)
      if (isOf(machine.spec)) {
        this.#withdraw(id);
        removals.push(this.#removals.get(id));
      }
    if (this.#making !== undefined && isOf(this.#making.spec)) {
      this.#making.isGone = true;
      removals.push(this.#making.end);
    }
    if (removals.length > 0) this.fillLater();
    await Promise.all(removals);
  }

  /** For a workload of the image that has these layers. */
  offer(layers: readonly string[]): PreparedSandbox | undefined {
    // One that could not be made, or has ended, is missing until somebody asks for it.
    this.fillLater();
    for (let found = this.#fitting(layers); found !== undefined; found = this.#fitting(layers)) {
      this.#free.delete(found.spec.id);
      if (found.container.pid() !== undefined) return this.#offer(found);
      this.#discard(found);
    }
    return undefined;
  }

  #fitting(layers: readonly string[]): Machine | undefined {
    if (this.#closed) return undefined;
    const free = [...this.#free.values()];
    return free.find((machine) => isOf(machine, layers)) ?? free.find((machine) => isOf(machine, []));
  }

  #offer(machine: Machine): PreparedSandbox {
    const { id } = machine.spec;
    const expiry = setTimeout(() => this.#withdraw(id), this.#options.keptFor ?? keptFor);
    expiry.unref();
    this.#offered.set(id, { machine, expiry });
    return { id, namespace: () => this.#namespaceOf(id), giveBack: () => this.#takeBack(id) };
  }

  #takeBack(id: string): void {
    const offered = this.#offered.get(id);
    if (offered === undefined) return;
    // Another one may have taken its place, and nothing of one that has ended is of use.
    const isMissing = !this.#closed && this.#free.size < this.#options.size;
    if (!isMissing || offered.machine.container.pid() === undefined) {
      this.#withdraw(id);
      return;
    }
    clearTimeout(offered.expiry);
    this.#offered.delete(id);
    this.#free.set(id, offered.machine);
  }

  /** A process id says nothing any more once its process has ended: another one, the host's own, may have it. */
  #namespaceOf(id: string): string | undefined {
    const pid = this.#offered.get(id)?.machine.container.pid();
    return pid === undefined ? undefined : `/proc/${pid}/ns/net`;
  }

  #withdraw(id: string): void {
    const offered = this.#offered.get(id);
    if (offered === undefined) return;
    this.#offered.delete(id);
    clearTimeout(offered.expiry);
    this.#discard(offered.machine);
  }

  /** The machine of a workload's id, which is the caller's from now on; without one, nothing is left of it. */
  async take(id: string): Promise<Machine | undefined> {
    const offered = this.#offered.get(id);
    if (offered === undefined) {
      await this.#removals.get(id);
      return undefined;
    }
    this.#offered.delete(id);
    clearTimeout(offered.expiry);
    this.fillLater();
    await rm(join(this.#directory, id), { force: true });
    return offered.machine;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#refill);
    await this.#filling?.catch(() => undefined);
    for (const machine of this.#free.values()) this.#discard(machine);
    this.#free.clear();
    for (const id of [...this.#offered.keys()]) this.#withdraw(id);
    await Promise.all(this.#removals.values());
  }

  async #fill(): Promise<void> {
    const { places, log } = this.#options;
    while (!this.#closed) {
      const layers = await this.#missing();
      if (layers === undefined) return;
      const spec = specOf(randomBytes(32).toString("hex"), places, layers);
      const begun = performance.now();
      const { promise: end, resolve } = Promise.withResolvers<void>();
      const making = { spec, end, isGone: false };
      this.#making = making;
      try {
        const machine = await this.#make(spec);
        const milliseconds = Math.round(performance.now() - begun);
        if (making.isGone) {
          this.#discard(machine);
          await this.#removals.get(spec.id);
          continue;
        }
        log.debug("a virtual machine waits for an image", {
          ...{ id: spec.id, milliseconds },
          ...(layers.length === 0 ? {} : { layers: layers.length }),
        });
        this.#free.set(spec.id, machine);
        // It is of no use any more if it ends by itself.
        void machine.agent.closed.then(() => {
          this.#withdraw(spec.id);
          if (!this.#free.delete(spec.id)) return;
          this.#discard(machine);
          this.fillLater();
        });
      } catch (error) {
        log.warn("a virtual machine could not be made to wait for an image", { why: messageOf(error) });
        return;
      } finally {
        this.#making = undefined;
        resolve();
      }
    }
  }

  /** Layers of the image that a machine is missing of; undefined if none is. One that is worth less has made room for it. */
  async #missing(): Promise<readonly string[] | undefined> {
    const { size } = this.#options;
    const free = [...this.#free.values()];
    const ofNone = free.filter((machine) => isOf(machine, []));
    const reserved = size > 1 ? 1 : 0;
    const latest = this.#latest();
    if (free.length < size)
      return latest !== undefined && free.length - ofNone.length < size - reserved ? latest : [];
    if (latest === undefined || free.some((machine) => isOf(machine, latest))) return undefined;
    const least = ofNone.length > reserved ? ofNone[0] : this.#leastRecent(free);
    if (least === undefined) return undefined;
    await this.#end(least);
    return latest;
  }

  /** Of the images that machines can wait with. */
  #latest(): readonly string[] | undefined {
    const { canWaitWith = () => false } = this.#options;
    return [...this.#started.values()].findLast(canWaitWith);
  }

  #leastRecent(free: readonly Machine[]): Machine | undefined {
    const names = [...this.#started.keys()];
    const timeOf = ({ spec }: Machine): number => names.indexOf(nameOf(spec.layers));
    return free.filter((machine) => !isOf(machine, [])).sort((one, other) => timeOf(one) - timeOf(other))[0];
  }

  /** Of one that is free. */
  async #end(machine: Machine): Promise<void> {
    this.#free.delete(machine.spec.id);
    this.#discard(machine);
    await this.#removals.get(machine.spec.id);
  }

  async #make(spec: SandboxSpec): Promise<Machine> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    await writeFile(join(this.#directory, spec.id), "", { mode: 0o600 });
    try {
      return await this.#options.make(spec);
    } catch (error) {
      await this.#options.remove(spec);
      await this.#forget(spec);
      throw error;
    }
  }

  #discard({ spec, agent }: Machine): void {
    agent.close();
    const removal = this.#options
      .remove(spec)
      .then(() => this.#forget(spec))
      .catch((error: unknown) => {
        this.#options.log.warn("a virtual machine that waited could not be taken away", {
          why: messageOf(error),
        });
      })
      .finally(() => this.#removals.delete(spec.id));
    this.#removals.set(spec.id, removal);
  }

  /** The directory stays if there is a workload, for then it is not empty. */
  async #forget({ id, directory }: SandboxSpec): Promise<void> {
    await rmdir(directory).catch(() => undefined);
    await rm(join(this.#directory, id), { force: true });
  }

  async #noted(): Promise<string[]> {
    try {
      return (await readdir(this.#directory)).filter((name) => /^[0-9a-f]{64}$/.test(name));
    } catch (error) {
      if (errnoNameOf(error) === "ENOENT") return [];
      throw error;
    }
  }
}

function nameOf(layers: readonly string[]): string {
  return JSON.stringify(layers);
}

function isOf({ spec }: PoolMachine, layers: readonly string[]): boolean {
  return nameOf(spec.layers) === nameOf(layers);
}

/** What is known of a workload of which nothing is known yet but, possibly, its image. */
function specOf(id: string, places: Places, layers: readonly string[] = []): SandboxSpec {
  const { directory, runtimeDirectory } = places(id);
  return {
    id,
    name: id.slice(0, 12),
    directory,
    runtimeDirectory,
    layers,
    process: {
      args: [],
      env: [],
      cwd: "/",
      user: "",
      capabilities: [],
      terminal: false,
      stdin: false,
      stdinOnce: false,
    },
    hostname: "",
    readOnlyRoot: false,
    resources: { memoryBytes: 0, cpus: 0, pids: 0 },
    // The workload will have one of its own.
    logPath: join(runtimeDirectory, "log"),
  };
}
