/** Volumes as clients see them: with who uses them. */
import { HullError, isHullError } from "../contract/errors.ts";
import type { Volume, VolumeRequest } from "../volume/volume.ts";
import type { EngineContext } from "./context.ts";
import { usesVolume } from "./mounts/hold-mounts.ts";
import type { Workload } from "./workload.ts";

export interface RemovedVolume {
  readonly name: string;
  readonly bytes: number;
}

export class Volumes {
  readonly #context: EngineContext;

  constructor(context: EngineContext) {
    this.#context = context;
  }

  list(): Volume[] {
    return this.#context.volumes.list();
  }

  get(name: string): Volume {
    return this.#context.volumes.get(name);
  }

  create(request: VolumeRequest): Volume {
    const { volume, made } = this.#context.volumes.create(request);
    if (made) this.#emit("create", volume.name);
    return volume;
  }

  bytes(name: string): Promise<number> {
    return this.#context.volumes.bytes(name);
  }

  /** Workloads that mount the volume, running or not. */
  usersOf(name: string): Workload[] {
    return this.#context.workloads
      .all()
      .filter(({ record }) => record.mounts.some((mount) => usesVolume(mount, name)));
  }

  /** Throws `conflict` while a workload mounts it, whatever the workload's state; `noSuchObject` unless forced. */
  async remove(name: string, options: { force: boolean }): Promise<void> {
    if (options.force && this.#context.volumes.find(name) === undefined) return;
    this.#context.volumes.get(name);
    const users = this.usersOf(name);
    if (users.length > 0)
      throw new HullError("conflict", {
        what: `remove ${name}: volume is in use - [${users.map(({ id }) => id).join(", ")}]: remove those containers first`,
      });
    await this.#context.volumes.remove(name);
    this.#emit("destroy", name);
  }

  /** Removes the volumes that no workload mounts and that `selected` takes. */
  async prune(selected: (volume: Volume) => boolean): Promise<RemovedVolume[]> {
    const removed: RemovedVolume[] = [];
    for (const volume of this.list()) {
      if (!selected(volume) || this.usersOf(volume.name).length > 0) continue;
      const bytes = await this.bytes(volume.name);
      try {
        await this.remove(volume.name, { force: false });
      } catch (error) {
        // Somebody has come to use it meanwhile, or has removed it.
        if (isHullError(error, "conflict") || isHullError(error, "noSuchObject")) continue;
        throw error;
      }
      removed.push({ name: volume.name, bytes });
    }
    this.#context.events.emit("volume", "prune", "", {
      reclaimed: String(removed.reduce((sum, { bytes }) => sum + bytes, 0)),
    });
    return removed;
  }

  #emit(action: string, name: string): void {
    this.#context.events.emit("volume", action, name, { driver: "local" });
  }
}
