/**
 * Blobs and layers on disk, named by what is in them. A file is written under `temp/`, made durable, and only then
 * renamed to its name: what has a name is whole. What a crash leaves under `temp/` goes at the next start.
 *
 *   ROOT/content/blobs/sha256/HEX   as they came from a registry or an archive
 *   ROOT/content/temp/              half-made
 *   ROOT/layers/HEX.erofs           HEX is of the uncompressed tar
 */
import { randomUUID } from "node:crypto";
import { mkdir, open, readdir, readFile, rename, rm, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import type { Digest } from "../image-store.ts";
import { BufferedFile, writeError } from "./buffered-file.ts";

const layerSuffix = ".erofs";

export class ContentStore {
  readonly #blobs: string;
  readonly #temp: string;
  readonly #layers: string;

  private constructor(root: string) {
    this.#blobs = join(root, "content/blobs/sha256");
    this.#temp = join(root, "content/temp");
    this.#layers = join(root, "layers");
  }

  static async open(root: string): Promise<ContentStore> {
    const store = new ContentStore(root);
    try {
      await rm(store.#temp, { recursive: true, force: true });
      for (const path of [store.#blobs, store.#temp, store.#layers]) await mkdir(path, { recursive: true });
    } catch (error) {
      throw writeError(root, error);
    }
    return store;
  }

  blobPath(digest: Digest): string {
    return join(this.#blobs, hexOf(digest));
  }

  layerPath(diffId: Digest): string {
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
    await file.publish(this.blobPath(digest), this.#blobs);
  }

  async publishLayer(file: PendingFile | ReservedFile, diffId: Digest): Promise<void> {
    await file.publish(this.layerPath(diffId), this.#layers);
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

  /** Removes every blob and layer that is not named. */
  async keepOnly(blobs: ReadonlySet<Digest>, layers: ReadonlySet<Digest>): Promise<void> {
    for (const name of await readdir(this.#blobs))
      if (!blobs.has(`sha256:${name}`)) await unlink(join(this.#blobs, name));
    for (const name of await readdir(this.#layers)) {
      if (!name.endsWith(layerSuffix)) continue;
      if (!layers.has(`sha256:${name.slice(0, -layerSuffix.length)}`)) await unlink(join(this.#layers, name));
    }
  }
}

/** A name under `temp/` that another process writes a file to; gone when disposed of, unless it was published. */
export class ReservedFile implements AsyncDisposable {
  readonly path: string;
  #published = false;

  constructor(path: string) {
    this.path = path;
  }

  /** Durable first, then visible, then durably visible. */
  async publish(path: string, directory: string): Promise<void> {
    try {
      await syncPath(this.path);
      await rename(this.path, path);
      this.#published = true;
      await syncPath(directory);
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

  /** Durable first, then visible, then durably visible. */
  async publish(path: string, directory: string): Promise<void> {
    await this.out.finish("durable");
    try {
      if (this.#settled) await syncPath(this.out.path);
      await rename(this.out.path, path);
      this.#published = true;
      await syncPath(directory);
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
