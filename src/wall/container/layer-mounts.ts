/**
 * EROFS layers, mounted once each and shared by the sandboxes above them, so that they share one page cache.
 *
 * A layer stays mounted while a sandbox leases it and a little longer. The mount points are numbered
 * directories of one base directory: overlayfs takes them by names of a few bytes, and a mount's options must
 * fit into one page.
 */
import { mkdirSync, readdirSync, rmdirSync } from "node:fs";
import { HullError } from "../../contract/errors.ts";
import { type FileMount, mountFile } from "../../host/loop.ts";
import { mount, mountFlag, unmount } from "../../host/mount.ts";
import { errnoNameOf } from "../../host/system-error.ts";

/** Layers that stay mounted until disposed. */
export interface LayerLease extends Disposable {
  /** Directory that the names are in. */
  readonly base: string;
  /** Bottom layer first, each once. */
  readonly names: readonly string[];
}

interface LayerMount {
  readonly name: string;
  readonly ready: Promise<void>;
  leases: number;
  idle: Timer | undefined;
}

const idleMilliseconds = 10_000;
let instances = 0;

export class LayerMounts {
  readonly #base: string;
  readonly #mounts = new Map<string, LayerMount>();
  #next = 0;
  #closed = false;
  #needsLoopDevice = false;

  /** `directory` is taken over; what dead daemons left in it is removed. */
  constructor(directory: string) {
    mkdirSync(directory, { recursive: true });
    removeLeftovers(directory);
    instances += 1;
    this.#base = `${directory}/${process.pid}.${instances}`;
  }

  /** Mounts the layers that are not yet mounted. */
  async lease(paths: readonly string[]): Promise<LayerLease> {
    const distinct = lastOfEach(paths);
    const mounts = distinct.map((path) => this.#acquire(path));
    const release = (): void => {
      for (const mounted of mounts.splice(0)) this.#release(mounted.path, mounted.mount);
    };
    try {
      await Promise.all(mounts.map(({ mount: mounted }) => mounted.ready));
    } catch (error) {
      release();
      throw error;
    }
    const names = distinct.map((path) => this.#mounts.get(path)?.name ?? "");
    return { base: this.#base, names, [Symbol.dispose]: release };
  }

  /** Unmounts the layers that nobody leases; sandboxes that run keep what they use. */
  close(): void {
    this.#closed = true;
    for (const [path, mounted] of this.#mounts) if (mounted.leases === 0) this.#unmount(path, mounted);
    removeDirectory(this.#base);
  }

  #acquire(path: string): { readonly path: string; readonly mount: LayerMount } {
    let mounted = this.#mounts.get(path);
    if (mounted === undefined) {
      const name = String(this.#next);
      this.#next += 1;
      mounted = { name, ready: this.#mount(path, `${this.#base}/${name}`), leases: 0, idle: undefined };
      this.#mounts.set(path, mounted);
    }
    clearTimeout(mounted.idle);
    mounted.leases += 1;
    return { path, mount: mounted };
  }

  #release(path: string, mounted: LayerMount): void {
    mounted.leases -= 1;
    if (mounted.leases > 0) return;
    if (this.#closed) {
      this.#unmount(path, mounted);
      removeDirectory(this.#base);
      return;
    }
    mounted.idle = setTimeout(() => this.#unmount(path, mounted), idleMilliseconds);
    mounted.idle.unref();
    // A mount that failed is tried anew by the next lease.
    mounted.ready.catch(() => this.#unmount(path, mounted));
  }

  #unmount(path: string, mounted: LayerMount): void {
    clearTimeout(mounted.idle);
    if (this.#mounts.get(path) !== mounted) return;
    this.#mounts.delete(path);
    const target = `${this.#base}/${mounted.name}`;
    try {
      unmount(target);
    } catch (error) {
      if (!["EINVAL", "ENOENT"].includes(errnoNameOf(error) ?? "")) throw error;
    }
    removeDirectory(target);
  }

  async #mount(path: string, target: string): Promise<void> {
    mkdirSync(target, { recursive: true });
    try {
      if (this.#needsLoopDevice) return await mountFile(layerOf(path, target));
      mountErofs(path, target);
    } catch (error) {
      // Kernels before 6.12 mount block devices only.
      if (errnoNameOf(error) === "ENOTBLK" && !this.#needsLoopDevice) {
        await mountFile(layerOf(path, target));
        this.#needsLoopDevice = true;
        return;
      }
      throw explainMountError(error, path);
    }
  }
}

/**
 * Overlayfs takes no directory twice, and an image may have a layer twice (an empty one, often). The upper of two
 * says all that the lower one says.
 */
function lastOfEach(paths: readonly string[]): readonly string[] {
  return [...new Set(paths.toReversed())].toReversed();
}

function layerOf(path: string, target: string): FileMount {
  return { path, type: "erofs", target, readOnly: true };
}

function mountErofs(source: string, target: string): void {
  mount({ source, target, type: "erofs", flags: mountFlag.readOnly | mountFlag.noDev });
}

function explainMountError(error: unknown, path: string): unknown {
  switch (errnoNameOf(error)) {
    case "ENODEV":
      return new HullError(
        "hostMissing",
        { what: "the kernel's EROFS file system", remedy: "run `modprobe erofs`" },
        { cause: error },
      );
    case "EINVAL":
    case "EUCLEAN":
      return new HullError(
        "corrupt",
        { what: `layer ${path}`, why: "the kernel refuses to mount it" },
        { cause: error },
      );
    default:
      return error;
  }
}

function removeLeftovers(directory: string): void {
  for (const name of readdirSync(directory)) {
    const base = `${directory}/${name}`;
    try {
      for (const layer of readdirSync(base)) removeDirectory(`${base}/${layer}`);
    } catch (error) {
      if (errnoNameOf(error) !== "ENOTDIR") throw error;
    }
    removeDirectory(base);
  }
}

/** Removes an empty directory; one in use (by another daemon's object, or a mount) stays. */
function removeDirectory(path: string): void {
  try {
    rmdirSync(path);
  } catch (error) {
    if (!["ENOENT", "EBUSY", "ENOTEMPTY", "ENOTDIR"].includes(errnoNameOf(error) ?? "")) throw error;
  }
}
