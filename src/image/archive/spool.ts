/**
 * The members of an archive of images, spooled to the content store's temp as they stream in: what tells how they
 * belong together may come last.
 */
import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { posix } from "node:path";
import { HullError } from "../../contract/errors.ts";
import { type ContentStore, digestOf, type PendingFile } from "../content/content-store.ts";
import type { Digest } from "../image-store.ts";
import { decompress } from "../layer/decompress.ts";
import { TarParser } from "../tar/parser.ts";

/** Files and links of one archive: images have a few hundred blobs at most. */
const maxFiles = 20_000;
/** Of one JSON document. */
const maxDocumentBytes = 8 * 1024 * 1024;
const maxLinks = 10;

interface SpooledFile {
  readonly file: PendingFile;
  readonly digest: Digest;
}

export class Spool implements AsyncDisposable {
  readonly #what: string;
  /** Also those that a later member of the same name replaced. */
  readonly #made: PendingFile[] = [];
  readonly #files = new Map<string, SpooledFile>();
  /** Old `docker save` links layers that several images share. */
  readonly #links = new Map<string, string>();

  private constructor(what: string) {
    this.#what = what;
  }

  /** Reads the whole archive. Its temporary files are gone when the spool is disposed of. */
  static async read(content: ContentStore, source: AsyncIterable<Uint8Array>, what: string): Promise<Spool> {
    const spool = new Spool(what);
    try {
      await spool.#read(content, source);
      return spool;
    } catch (error) {
      await spool[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #read(content: ContentStore, source: AsyncIterable<Uint8Array>): Promise<void> {
    let current: { path: string; file: PendingFile; hash: Bun.CryptoHasher } | undefined;
    let ended: PendingFile[] = [];
    const parser = new TarParser(this.#what, {
      entry: (entry) => {
        const path = memberPath(entry.path);
        if (this.#made.length + this.#links.size >= maxFiles)
          throw new HullError("tooLarge", {
            what: this.#what,
            value: "its number of files",
            limit: maxFiles,
          });
        if (entry.type === "symlink")
          this.#links.set(path, memberPath(posix.join(posix.dirname(path), entry.linkTarget)));
        else if (entry.type === "hardlink") this.#links.set(path, memberPath(entry.linkTarget));
        else if (entry.type === "file") {
          if (entry.sparse !== undefined)
            throw new HullError("unsupported", {
              what: "a sparse member",
              where: ` in ${this.#what}`,
              why: "pack it plainly",
            });
          const file = content.create();
          this.#made.push(file);
          current = { path, file, hash: new Bun.CryptoHasher("sha256") };
        }
      },
      data: (bytes) => {
        current?.file.out.write(bytes);
        current?.hash.update(bytes);
      },
      entryEnd: () => {
        if (current === undefined) return;
        const { path, file, hash } = current;
        this.#files.set(path, { file, digest: `sha256:${hash.digest("hex")}` });
        ended.push(file);
        current = undefined;
      },
    });
    const { stream } = await decompress(this.#what, source);
    for await (const chunk of stream) {
      parser.push(chunk);
      await current?.file.out.drain();
      for (const file of ended) await file.settle();
      ended = [];
    }
    parser.end();
  }

  get isEmpty(): boolean {
    return this.#files.size === 0;
  }

  has(path: string): boolean {
    return this.#find(path) !== undefined;
  }

  /** A member with its links followed; undefined when there is none. */
  #find(path: string): SpooledFile | undefined {
    let at = memberPath(path);
    for (let hops = 0; hops < maxLinks; hops++) {
      const file = this.#files.get(at);
      if (file !== undefined) return file;
      const target = this.#links.get(at);
      if (target === undefined) return undefined;
      at = target;
    }
    return undefined;
  }

  get(path: string): SpooledFile {
    const found = this.#find(path);
    if (found === undefined)
      throw new HullError("corrupt", { what: this.#what, why: `${JSON.stringify(path)} is not in it` });
    return found;
  }

  async document(path: string): Promise<Buffer> {
    const { file } = this.get(path);
    if (file.out.position > maxDocumentBytes)
      throw new HullError("tooLarge", {
        what: `${JSON.stringify(path)} in ${this.#what}`,
        value: `${file.out.position} bytes`,
        limit: `${maxDocumentBytes} bytes`,
      });
    return readFile(file.out.path);
  }

  hasBlob(digest: Digest): boolean {
    return this.has(blobPath(digest));
  }

  /** A blob of an OCI layout, held against its digest. */
  blob(digest: Digest): SpooledFile {
    const found = this.get(blobPath(digest));
    if (found.digest !== digest)
      throw new HullError("digestMismatch", {
        what: `a blob in ${this.#what}`,
        expected: digest,
        actual: found.digest,
      });
    return found;
  }

  async blobDocument(digest: Digest): Promise<Buffer> {
    this.blob(digest);
    const bytes = await this.document(blobPath(digest));
    if (digestOf(bytes) !== digest) throw new Error("a spooled file does not change");
    return bytes;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const file of this.#made) await file[Symbol.asyncDispose]();
  }
}

export function readSpooled(file: PendingFile): AsyncIterable<Uint8Array> {
  return createReadStream(file.out.path, { highWaterMark: 256 * 1024 });
}

function blobPath(digest: Digest): string {
  return `blobs/sha256/${digest.slice("sha256:".length)}`;
}

/** Only a key: nothing is ever opened by it. */
function memberPath(path: string): string {
  return posix.normalize(`/${path}`).slice(1);
}
