/**
 * Volumes: ROOT/volumes/NAME/_data, and their records.
 *
 * `create` -> (`hold` … release)* -> `remove`. A volume with options is mounted while somebody holds it. Who holds
 * what is not recorded: the engine holds the volumes of the workloads that run, again after a restart. Who uses a
 * volume, so that it may not be removed, is the engine's to know, too.
 */
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync } from "node:fs";
import { rm, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { HullError } from "../contract/errors.ts";
import { bytesBelow } from "../host/disk-usage.ts";
import { unmount } from "../host/mount.ts";
import { mountByProgram } from "../host/mount-program.ts";
import { explainWriteError } from "../host/system-error.ts";
import { volumeMount } from "./local-options.ts";
import type { Volume, VolumeRequest } from "./volume.ts";
import { type VolumeRecord, VolumeRecords } from "./volume-records.ts";

/** As Docker's. */
const namePattern = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{1,254}$/;

/** Opens the volumes below a root, and finishes what an earlier daemon had begun. */
export async function openVolumeStore(root: string): Promise<VolumeStore> {
  const directory = join(root, "volumes");
  try {
    mkdirSync(directory, { recursive: true, mode: 0o711 });
  } catch (error) {
    throw explainWriteError(error, "volumes", directory);
  }
  const store = new VolumeStore(directory, new VolumeRecords(join(root, "volumes.db")));
  await store.recover();
  return store;
}

/** As Docker marks them: clients look for it. */
const anonymousLabel = "com.docker.volume.anonymous";

interface Hold {
  count: number;
  /** Undefined: only in the workloads that hold it; see `holdAgain`. */
  readonly mounted: Promise<void> | undefined;
}

/** File systems that are another one each time they are mounted. */
const inMemory = ["tmpfs", "ramfs"];

export class VolumeStore implements Disposable {
  readonly #directory: string;
  readonly #records: VolumeRecords;
  readonly #volumes = new Map<string, VolumeRecord>();
  readonly #holds = new Map<string, Hold>();

  constructor(directory: string, records: VolumeRecords) {
    this.#directory = directory;
    this.#records = records;
  }

  async recover(): Promise<void> {
    for (const record of this.#records.load()) {
      this.#volumes.set(record.name, record);
      // What cannot be removed is a volume again: whoever removes it the next time is told why.
      if (record.removing) await this.#finishRemoval(record.name).catch(() => this.#mark(record.name, false));
      else this.#makeDirectory(record.name);
    }
  }

  /** One that is there already is given back, if it has the same options. */
  create(request: VolumeRequest): { readonly volume: Volume; readonly made: boolean } {
    if (request.driver !== "" && request.driver !== "local")
      throw new HullError("invalidParameter", {
        what: "volume driver",
        value: request.driver,
        why: "there is one driver, local",
      });
    volumeMount(request.options);
    const made = request.name === "";
    const name = made ? randomBytes(32).toString("hex") : parseVolumeName(request.name);
    const there = this.#volumes.get(name);
    if (there?.removing)
      throw new HullError("conflict", { what: `volume ${name} is being removed: try again when it is gone` });
    if (there !== undefined) {
      requireSameOptions(there, request.options);
      return { volume: this.#view(there), made: false };
    }
    const { options } = request;
    const anonymous = request.anonymous || made;
    const labels = anonymous ? { ...request.labels, [anonymousLabel]: "" } : request.labels;
    const record = { name, options, labels, anonymous, createdAt: Date.now(), removing: false };
    this.#records.insert(record);
    this.#volumes.set(name, record);
    this.#makeDirectory(name);
    return { volume: this.#view(record), made: true };
  }

  list(): Volume[] {
    return [...this.#volumes.values()]
      .filter(({ removing }) => !removing)
      .map((record) => this.#view(record));
  }

  find(name: string): Volume | undefined {
    const record = this.#volumes.get(name);
    return record === undefined || record.removing ? undefined : this.#view(record);
  }

  /** Throws `noSuchObject`. */
  get(name: string): Volume {
    const volume = this.find(name);
    if (volume === undefined) throw new HullError("noSuchObject", { kind: "volume", name });
    return volume;
  }

  /** Where the files of a volume of that name are, whether there is one yet or not. */
  directoryOf(name: string): string {
    return this.#dataOf(parseVolumeName(name));
  }

  /** Bytes on the disk; 0 for a volume that is mounted from elsewhere. */
  async bytes(name: string): Promise<number> {
    const record = this.#volumes.get(name);
    if (record === undefined || volumeMount(record.options) !== undefined) return 0;
    return await bytesBelow(this.#dataOf(name));
  }

  /** Takes a volume and its files away. The caller has made sure that nobody uses it. */
  async remove(name: string): Promise<void> {
    const { name: known } = this.get(name);
    if (this.#holds.has(known))
      throw new HullError("conflict", { what: `remove ${known}: volume is in use: stop what uses it first` });
    this.#mark(known, true);
    try {
      await this.#finishRemoval(known);
    } catch (error) {
      this.#mark(known, false);
      throw explainWriteError(error, `volume ${known}`, this.#dataOf(known));
    }
  }

  #mark(name: string, removing: boolean): void {
    this.#records.markRemoving(name, removing);
    const record = this.#volumes.get(name);
    if (record !== undefined) this.#volumes.set(name, { ...record, removing });
  }

  /** Keeps the volume's files in their place until disposed of. */
  async hold(name: string): Promise<Disposable> {
    const mount = this.#mountOf(name);
    if (mount === undefined) return { [Symbol.dispose]: () => undefined };
    const target = this.#dataOf(name);
    let hold = this.#holds.get(name);
    if (hold !== undefined && hold.mounted === undefined)
      throw new HullError("conflict", {
        what: `volume ${name} is a ${mount.type} that only workloads have which ran before the daemon was restarted: stop those first`,
      });
    if (hold === undefined) {
      const { type, device: source, options } = mount;
      hold = { count: 0, mounted: mountByProgram({ type, source, target, options }) };
      this.#holds.set(name, hold);
    }
    const release = this.#count(name, hold);
    try {
      await hold.mounted;
    } catch (error) {
      release();
      throw error;
    }
    return { [Symbol.dispose]: release };
  }

  /**
   * For a workload that has run since before the daemon: it has mounts of its own. What is in memory cannot be
   * mounted a second time, so nobody else gets the volume until it is let go of.
   */
  async holdAgain(name: string): Promise<Disposable> {
    const mount = this.#mountOf(name);
    if (mount === undefined || !inMemory.includes(mount.type)) return await this.hold(name);
    const hold = this.#holds.get(name) ?? { count: 0, mounted: undefined };
    this.#holds.set(name, hold);
    return { [Symbol.dispose]: this.#count(name, hold) };
  }

  #mountOf(name: string): ReturnType<typeof volumeMount> {
    this.get(name);
    return volumeMount(this.#volumes.get(name)?.options ?? {});
  }

  #count(name: string, held: Hold): () => void {
    held.count += 1;
    let over = false;
    return () => {
      if (over) return;
      over = true;
      held.count -= 1;
      if (held.count > 0) return;
      this.#holds.delete(name);
      // What still uses the files keeps them: the mount is only taken from this place.
      held.mounted?.then(() => unmount(this.#dataOf(name))).catch(() => undefined);
    };
  }

  [Symbol.dispose](): void {
    this.#records[Symbol.dispose]();
  }

  async #finishRemoval(name: string): Promise<void> {
    const directory = join(this.#directory, name);
    // What is mounted from elsewhere is not ours to remove: only empty directories go.
    if (volumeMount(this.#volumes.get(name)?.options ?? {}) === undefined)
      await rm(directory, { recursive: true, force: true });
    else if (existsSync(directory)) {
      if (existsSync(this.#dataOf(name))) await rmdir(this.#dataOf(name));
      await rmdir(directory);
    }
    this.#records.forget(name);
    this.#volumes.delete(name);
  }

  #makeDirectory(name: string): void {
    const path = this.#dataOf(name);
    if (existsSync(path)) return;
    try {
      mkdirSync(join(this.#directory, name), { recursive: true, mode: 0o711 });
      mkdirSync(path, { mode: 0o755 });
    } catch (error) {
      throw explainWriteError(error, `volume ${name}`, path);
    }
  }

  #dataOf(name: string): string {
    return join(this.#directory, name, "_data");
  }

  #view({ name, options, labels, anonymous, createdAt }: VolumeRecord): Volume {
    return { name, options, labels, anonymous, createdAt, mountpoint: this.#dataOf(name) };
  }
}

export function parseVolumeName(name: string): string {
  if (namePattern.test(name)) return name;
  throw new HullError("invalidParameter", {
    what: "volume name",
    value: JSON.stringify(name),
    why: "it has 2 to 255 letters, digits, '_', '.' and '-', and begins with a letter or digit; for a directory of the host, write its absolute path",
  });
}

function requireSameOptions(there: VolumeRecord, asked: Readonly<Record<string, string>>): void {
  if (Object.keys(asked).length === 0) return;
  const same =
    Object.keys(asked).length === Object.keys(there.options).length &&
    Object.entries(asked).every(([name, value]) => there.options[name] === value);
  if (same) return;
  throw new HullError("conflict", {
    what: `volume ${there.name} is there already, with other options: remove it first, or choose another name`,
  });
}
