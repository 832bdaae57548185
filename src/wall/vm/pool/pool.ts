/**
 * Machines of the default size that wait for an image, so that a start finds one that is there already.
 *
 *   cleanUp -> fill -> (offer -> take | given back | expiry)* -> close
 *
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
  readonly stateDirectory: string;
  readonly places: Places;
  readonly log: Logger;
  /** Nothing is left of a failed attempt but what `remove` takes away. */
  readonly make: (spec: SandboxSpec) => Promise<Machine>;
  readonly remove: (spec: SandboxSpec) => Promise<void>;
  /** Milliseconds that an offered machine is kept for the workload that has its id. */
  readonly keptFor?: number;
  /** Milliseconds after the last use: whoever starts now needs the processors. */
  readonly refillPause?: number;
}

const keptFor = 60_000;
const refillPause = 1000;

export class Pool<Machine extends PoolMachine> {
  readonly #options: PoolOptions<Machine>;
  readonly #directory: string;
  readonly #free = new Map<string, Machine>();
  readonly #offered = new Map<string, { readonly machine: Machine; readonly expiry: NodeJS.Timeout }>();
  readonly #removals = new Map<string, Promise<void>>();
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

  offer(): PreparedSandbox | undefined {
    const [first] = this.#free;
    // One that could not be made, or has ended, is missing until somebody asks for it.
    this.#fillLater();
    if (first === undefined || this.#closed) return undefined;
    const [id, machine] = first;
    this.#free.delete(id);
    if (machine.container.pid() === undefined) {
      this.#discard(machine);
      return undefined;
    }
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
    this.#fillLater();
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

  #fillLater(): void {
    clearTimeout(this.#refill);
    if (this.#closed || this.#options.size === 0) return;
    this.#refill = setTimeout(() => void this.fill(), this.#options.refillPause ?? refillPause);
    this.#refill.unref();
  }

  async #fill(): Promise<void> {
    const { size, places, log } = this.#options;
    while (this.#free.size < size && !this.#closed) {
      const spec = specOf(randomBytes(32).toString("hex"), places);
      const begun = performance.now();
      try {
        const machine = await this.#make(spec);
        const milliseconds = Math.round(performance.now() - begun);
        log.debug("a virtual machine waits for an image", { id: spec.id, milliseconds });
        this.#free.set(spec.id, machine);
        // It is of no use any more if it ends by itself.
        void machine.agent.closed.then(() => {
          this.#withdraw(spec.id);
          if (!this.#free.delete(spec.id)) return;
          this.#discard(machine);
          this.#fillLater();
        });
      } catch (error) {
        log.warn("a virtual machine could not be made to wait for an image", { why: messageOf(error) });
        return;
      }
    }
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

/** What is known of a workload of which nothing is known yet. */
function specOf(id: string, places: Places): SandboxSpec {
  const { directory, runtimeDirectory } = places(id);
  return {
    id,
    name: id.slice(0, 12),
    directory,
    runtimeDirectory,
    layers: [],
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
