/**
 * A build's context: the files that a client sent, in one temporary file of the store with an index in memory.
 *
 * Nothing is unpacked under the names that the client chose, so links, `..` and devices in a context have nothing to
 * lead to: a member that could only be meant to is refused.
 */
import { closeSync, openSync, read } from "node:fs";
import { promisify } from "node:util";
import { HullError } from "../../contract/errors.ts";
import type { ContentStore, PendingFile } from "../content/content-store.ts";
import { naming } from "../content/naming.ts";
import { decompress } from "../layer/decompress.ts";
import type { TarEntry } from "../tar/entry.ts";
import { TarParser } from "../tar/parser.ts";
import { applyIgnoreFile } from "./context-ignore.ts";
import { ContextNode, keptXattrs, plainAttributes } from "./context-node.ts";
import { bytesOf, type TreeNode, textOf } from "./tree/node.ts";

const readAsync = promisify(read);
/** Rough bytes of memory that a member takes beside its name. */
const memberCost = 600;
const memoryLimit = 256 * 1024 * 1024;
/** Of all files together: zeros cost no disk, so the disk alone would not stop them. */
const maxContextBytes = 64 * 2 ** 30;

export class BuildContext implements AsyncDisposable {
  readonly #what: string;
  readonly #file: PendingFile;
  readonly #root = new ContextNode("directory", plainAttributes(0o755));
  #memory = 0;
  #bytes = 0;
  #descriptor: number | undefined;

  private constructor(what: string, file: PendingFile) {
    this.#what = what;
    this.#file = file;
  }

  /** Reads a whole tar, plain or compressed. Its bytes are gone when the context is disposed of. */
  static async receive(
    content: ContentStore,
    source: AsyncIterable<Uint8Array>,
    what: string,
  ): Promise<BuildContext> {
    const context = new BuildContext(what, content.create());
    try {
      await context.#receive(source);
      return context;
    } catch (error) {
      await context[Symbol.asyncDispose]();
      throw naming(context.#what, error);
    }
  }

  /** One file alone, as `docker build -` sends a Dockerfile; and the file that an ADD has downloaded. */
  static async ofFile(
    content: ContentStore,
    name: string,
    source: AsyncIterable<Uint8Array>,
    options: { what: string; mode: number; mtimeSeconds: number; limit?: number },
  ): Promise<BuildContext> {
    const context = new BuildContext(options.what, content.create());
    try {
      const hash = new Bun.CryptoHasher("sha256");
      for await (const chunk of source) {
        context.#count(chunk.length, options.limit ?? maxContextBytes);
        hash.update(chunk);
        context.#file.out.write(chunk);
        await context.#file.out.drain();
      }
      const attributes = { ...plainAttributes(options.mode), mtimeSeconds: options.mtimeSeconds };
      const node = new ContextNode("file", { ...attributes, size: context.#bytes });
      node.stored = { position: 0, hash: hash.digest("hex"), read: (at, bytes) => context.#read(at, bytes) };
      context.#root.children.set(bytesOf(name), node);
      await context.#open();
      return context;
    } catch (error) {
      await context[Symbol.asyncDispose]();
      throw naming(context.#what, error);
    }
  }

  get root(): TreeNode {
    return this.#root;
  }

  /** Bytes of all files. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Takes away what the context's own patterns name; those beside the Dockerfile count before `.dockerignore`. */
  applyIgnoreFile(dockerfile: string, signal: AbortSignal): Promise<void> {
    return applyIgnoreFile(this.#root, dockerfile, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
    await this.#file[Symbol.asyncDispose]();
  }

  async #receive(source: AsyncIterable<Uint8Array>): Promise<void> {
    const { out } = this.#file;
    let current: { node: ContextNode; position: number; hash: Bun.CryptoHasher } | undefined;
    const parser = new TarParser(this.#what, {
      entry: (entry) => {
        const node = this.#add(entry);
        if (node?.kind !== "file" || entry.type !== "file") return;
        this.#count(entry.size, maxContextBytes);
        current = { node, position: out.position, hash: new Bun.CryptoHasher("sha256") };
      },
      data: (bytes) => {
        current?.hash.update(bytes);
        out.write(bytes);
      },
      entryEnd: () => {
        if (current === undefined) return;
        const { node, position, hash } = current;
        node.stored = { position, hash: hash.digest("hex"), read: (at, bytes) => this.#read(at, bytes) };
        current = undefined;
      },
    });
    const { stream } = await decompress(this.#what, source);
    for await (const chunk of stream) {
      parser.push(chunk);
      await out.drain();
    }
    parser.end();
    await this.#open();
  }

  async #open(): Promise<void> {
    await this.#file.settle();
    this.#descriptor = openSync(this.#file.out.path, "r");
  }

  #count(bytes: number, limit: number): void {
    this.#bytes += bytes;
    if (this.#bytes > limit)
      throw new HullError("tooLarge", {
        what: this.#what,
        value: `${this.#bytes} bytes`,
        limit: `${limit} bytes`,
      });
  }

  #charge(bytes: number): void {
    this.#memory += bytes;
    if (this.#memory > memoryLimit)
      throw new HullError("tooLarge", {
        what: this.#what,
        value: "the number and the names of its files",
        limit: `${memoryLimit} bytes of memory`,
      });
  }

  async #read(at: number, bytes: number): Promise<Uint8Array> {
    if (this.#descriptor === undefined) throw new Error("the build context is closed");
    const buffer = Buffer.allocUnsafe(bytes);
    for (let done = 0; done < bytes; ) {
      const { bytesRead } = await readAsync(this.#descriptor, buffer, done, bytes - done, at + done);
      if (bytesRead === 0) throw new Error("the build context's file was cut");
      done += bytesRead;
    }
    return buffer;
  }

  #add(entry: TarEntry): ContextNode | undefined {
    const parts = this.#partsOf(entry, entry.path);
    const name = parts.pop();
    if (name === undefined) return undefined;
    const parent = this.#directory(entry, parts);
    this.#charge(memberCost + name.length + entry.linkTarget.length);
    const before = parent.children.get(name);
    const attributes = {
      mode: entry.mode,
      uid: entry.uid,
      gid: entry.gid,
      mtimeSeconds: entry.mtime.seconds,
      size: entry.size,
      xattrs: keptXattrs(entry.xattrs),
    };
    switch (entry.type) {
      case "directory":
        if (before?.kind === "directory") {
          before.attributes = { ...attributes, size: 0 };
          return undefined;
        }
        parent.children.set(name, new ContextNode("directory", { ...attributes, size: 0 }));
        return undefined;
      case "hardlink":
        parent.children.set(name, this.#linked(entry));
        return undefined;
      case "symlink": {
        const link = new ContextNode("symlink", { ...attributes, mode: 0o777, size: 0 });
        link.target = entry.linkTarget;
        parent.children.set(name, link);
        return undefined;
      }
      case "file": {
        if (entry.sparse !== undefined) throw this.#refuse(entry, "it is sparse: pack it plainly");
        const file = new ContextNode("file", attributes);
        parent.children.set(name, file);
        return file;
      }
      default:
        throw this.#refuse(entry, `a build context has no ${entry.type.replace("-", " ")}s`);
    }
  }

  #linked(entry: TarEntry): ContextNode {
    const parts = this.#partsOf(entry, entry.linkTarget);
    const name = parts.pop() ?? "";
    const target = this.#directory(entry, parts).children.get(name);
    if (target === undefined || target.kind === "directory")
      throw this.#refuse(entry, `${shown(entry.linkTarget)}, which it links to, is no file in it`);
    return target;
  }

  /** Directories that nobody described are made; a link on the way is followed by nobody who packs a directory. */
  #directory(entry: TarEntry, parts: readonly string[]): ContextNode {
    let directory = this.#root;
    for (const part of parts) {
      let child = directory.children.get(part);
      if (child === undefined) {
        this.#charge(memberCost + part.length);
        child = new ContextNode("directory", plainAttributes(0o755));
        directory.children.set(part, child);
      }
      if (child.kind !== "directory")
        throw this.#refuse(entry, `${shown(part)} on the way to it is not a directory`);
      directory = child;
    }
    return directory;
  }

  #partsOf(entry: TarEntry, path: string): string[] {
    const parts = path.split("/").filter((part) => part !== "" && part !== ".");
    if (parts.includes("..")) throw this.#refuse(entry, `${shown(path)} has a ".." in it`);
    if (parts.some((part) => part.length > 255))
      throw this.#refuse(entry, "a part of its name is over 255 bytes");
    return parts;
  }

  #refuse(entry: TarEntry, why: string): HullError {
    return new HullError("corrupt", {
      what: this.#what,
      why: `the member ${shown(entry.path)} at byte ${entry.offset}: ${why}`,
    });
  }
}

function shown(name: string): string {
  return JSON.stringify(textOf(name.slice(0, 200)));
}
