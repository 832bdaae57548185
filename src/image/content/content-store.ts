/**
 * Blobs and layers on disk, named by what is in them. A file is written under `temp/`, made durable, and only then
 * renamed to its name: what has a name is whole. What a crash leaves under `temp/` goes at the next start. That names
 * outlive a power cut takes `settle`, once for all of an image, before anything is recorded that goes by them.
 *
 * What nothing needs is swept away at any time. Work that stores, or goes by what is there, does it in a session: what
 * the session has asked for by its digest, or stored, stays until the session ends, be it recorded by then or not.
 *
 *   ROOT/content/blobs/sha256/HEX   as they came from a registry or an archive
 *   ROOT/content/temp/              half-made
 *   ROOT/layers/HEX.erofs           HEX is of the uncompressed tar
 */
import { randomUUID } from "node:crypto";
import { readdirSync, renameSync } from "node:fs";
import { mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Digest } from "../image-store.ts";
import { BufferedFile, writeError } from "./buffered-file.ts";

const layerSuffix = ".erofs";

export interface Sweep {
  /** Something is there only because a session holds it. */
  readonly spared: boolean;
  /** Resolves when the disk has its space back. */
  readonly removed: Promise<void>;
}

/** Nobody has yet been told to close what he has open of it. */
export interface ContentSweep extends Sweep {
  /** Where there were layers that are no more. */
  readonly layers: readonly string[];
}

interface Shared {
  /** What each session holds. */
  readonly sessions: Set<ReadonlySet<Digest>>;
  settling: Promise<void> | undefined;
  next: Promise<void> | undefined;
}

export class ContentStore {
  readonly #root: string;
  readonly #blobs: string;
  readonly #temp: string;
  readonly #layers: string;
  /** What the store and its sessions share. */
  readonly #shared: Shared;
  /** Of this session; the store itself is none and holds nothing. */
  readonly #held: Set<Digest> | undefined;

  private constructor(root: string, shared: Shared, held?: Set<Digest>) {
    this.#root = root;
    this.#blobs = join(root, "content/blobs/sha256");
    this.#temp = join(root, "content/temp");
    this.#layers = join(root, "layers");
    this.#shared = shared;
    this.#held = held;
  }

  static async open(root: string): Promise<ContentStore> {
    const store = new ContentStore(root, { sessions: new Set(), settling: undefined, next: undefined });
    try {
      await rm(store.#temp, { recursive: true, force: true });
      for (const path of [store.#blobs, store.#temp, store.#layers]) await mkdir(path, { recursive: true });
    } catch (error) {
      throw writeError(root, error);
    }
    return store;
  }

  /** The same store for one piece of work. */
  session(): Disposable & { readonly content: ContentStore } {
    const held = new Set<Digest>();
    this.#shared.sessions.add(held);
    return {
      content: new ContentStore(this.#root, this.#shared, held),
      [Symbol.dispose]: () => void this.#shared.sessions.delete(held),
    };
  }

  /** Keeps blobs and layers until this session ends, be they there yet or not. */
  hold(...digests: readonly Digest[]): void {
    for (const digest of digests) this.#held?.add(digest);
  }

  /** Whether a session holds it. */
  isHeld(digest: Digest): boolean {
    for (const held of this.#shared.sessions) if (held.has(digest)) return true;
    return false;
  }

  blobPath(digest: Digest): string {
    this.hold(digest);
    return join(this.#blobs, hexOf(digest));
  }

  layerPath(diffId: Digest): string {
    this.hold(diffId);
    return join(this.#layers, `${hexOf(diffId)}${layerSuffix}`);
  }

  /** Bytes of a blob; undefined when it is not here. */
  async blobSize(digest: Digest): Promise<number | undefined> {
    return sizeOf(this.blobPath(digest));
  }

  async layerSize(diffId: Digest): Promise<number | undefined> {
    return sizeOf(this.layerPath(diffId));
  }

  async readBlob(digest: Digest): Promise<Buffer> {
    return readFile(this.blobPath(digest));
  }

  /** A new file that gets its name by `publish`. */
  create(): PendingFile {
    return new PendingFile(join(this.#temp, randomUUID()));
  }

  /** An empty directory for other programs' work; what a crash leaves of it goes at the next start. */
  async temporaryDirectory(): Promise<AsyncDisposable & { readonly path: string }> {
    const path = join(this.#temp, randomUUID());
    await mkdir(path, { mode: 0o700 });
    return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
  }

  /** A place for a file that somebody else writes, to be published or disposed of like one of `create`. */
  reserve(): ReservedFile {
    return new ReservedFile(join(this.#temp, randomUUID()));
  }

  async publishBlob(file: PendingFile | ReservedFile, digest: Digest): Promise<void> {
    await file.publish(this.blobPath(digest));
  }

  async publishLayer(file: PendingFile | ReservedFile, diffId: Digest): Promise<void> {
    await file.publish(this.layerPath(diffId));
  }

  /** All names given so far outlive a power cut. Many who want it at once share it. */
  settle(): Promise<void> {
    const shared = this.#shared;
    // One that goes on may have missed the last name.
    shared.next ??= (shared.settling ?? Promise.resolve())
      .catch(() => undefined)
      .then(() => {
        shared.settling = shared.next;
        shared.next = undefined;
        return this.#syncNames();
      });
    return shared.next;
  }

  async #syncNames(): Promise<void> {
    try {
      await Promise.all([this.#blobs, this.#layers].map(syncPath));
    } catch (error) {
      throw writeError(this.#root, error);
    }
  }

  /** Stores bytes that are in memory already; returns their digest. */
  async putBlob(bytes: Uint8Array): Promise<Digest> {
    const digest = digestOf(bytes);
    await using file = this.create();
    file.out.write(bytes);
    await this.publishBlob(file, digest);
    return digest;
  }

  /** Takes away a blob that is to be stored anew. */
  async dropBlob(digest: Digest): Promise<void> {
    await rm(this.blobPath(digest), { force: true });
  }

  /**
   * Takes away every blob and layer that is neither named nor held. All of them are gone from their places before
   * anybody else has a turn, so nobody sees half of it.
   */
  sweep(blobs: ReadonlySet<Digest>, layers: ReadonlySet<Digest>): ContentSweep {
    const bin = join(this.#temp, randomUUID());
    const places = [
      { directory: this.#blobs, suffix: "", named: blobs },
      { directory: this.#layers, suffix: layerSuffix, named: layers },
    ];
    let spared = false;
    const binned: string[] = [];
    const gone: string[] = [];
    let failure: unknown;
    for (const { directory, suffix, named } of places)
      for (const name of readdirSync(directory)) {
        const digest = `sha256:${name.slice(0, name.length - suffix.length)}`;
        if (!name.endsWith(suffix) || !isDigest(digest) || named.has(digest)) continue;
        if (this.isHeld(digest)) {
          spared = true;
          continue;
        }
        const place = `${bin}-${binned.length}`;
        try {
          renameSync(join(directory, name), place);
          binned.push(place);
          if (directory === this.#layers) gone.push(join(directory, name));
        } catch (error) {
          failure ??= error;
        }
      }
    const remove = async (): Promise<void> => {
      for (const place of binned) await rm(place, { force: true });
      if (failure !== undefined) throw failure;
    };
    return { spared, layers: gone, removed: remove() };
  }
}

/** A name under `temp/` that another process writes a file to; gone when disposed of, unless it was published. */
export class ReservedFile implements AsyncDisposable {
  readonly path: string;
  #published = false;

  constructor(path: string) {
    this.path = path;
  }

  /** Durable first, then visible. */
  async publish(path: string): Promise<void> {
    try {
      await syncPath(this.path);
      await rename(this.path, path);
      this.#published = true;
    } catch (error) {
      throw writeError(path, error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#published) await rm(this.path, { force: true });
  }
}

/** A file under `temp/`: gone when disposed of, unless it was published. */
export class PendingFile implements AsyncDisposable {
  readonly out: BufferedFile;
  #settled = false;
  #published = false;

  constructor(path: string) {
    this.out = new BufferedFile(path);
  }

  /** Everything is in the file, which is closed; it is not durable yet. */
  async settle(): Promise<void> {
    this.#settled = true;
    await this.out.finish("written");
  }

  /** Durable first, then visible. */
  async publish(path: string): Promise<void> {
    await this.out.finish("durable");
    try {
      if (this.#settled) await syncPath(this.out.path);
      await rename(this.out.path, path);
      this.#published = true;
    } catch (error) {
      throw writeError(path, error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.out[Symbol.asyncDispose]();
    if (!this.#published) await rm(this.out.path, { force: true });
  }
}

async function syncPath(path: string): Promise<void> {
  const handle = await open(path);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export function digestOf(bytes: Uint8Array): Digest {
  return `sha256:${new Bun.CryptoHasher("sha256").update(bytes).digest("hex")}`;
}

export function isDigest(text: string): text is Digest {
  return /^sha256:[0-9a-f]{64}$/.test(text);
}

function hexOf(digest: Digest): string {
  if (!isDigest(digest)) throw new Error(`${String(digest)} is not a digest`);
  return digest.slice("sha256:".length);
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}
