/** The files of one workload, as the API asks for them. */
import { posix } from "node:path";
import { HullError, isHullError } from "../../contract/errors.ts";
import type { FileEntry, Files, WriteOptions } from "../../wall/files.ts";
import { resolveUser } from "../../wall/user.ts";
import type { SandboxSpec } from "../../wall/wall.ts";
import type { EngineContext } from "../context.ts";
import type { Workload } from "../workload.ts";
import { openFiles } from "./access.ts";
import { changesOf, type FileChange } from "./changes.ts";
import { layerTar } from "./layer.ts";
import { entriesOf } from "./tar-entries.ts";
import { tarOf } from "./tar-stream.ts";

const smallBytes = 4 * 1024 * 1024;

/** `path` as a client wrote it, with characters; relative ones are taken from the root. */
export class WorkloadFiles implements AsyncDisposable {
  readonly #workload: Workload;
  readonly #files: Files;
  readonly #close: () => PromiseLike<void>;

  private constructor(workload: Workload, files: Files, close: () => PromiseLike<void>) {
    this.#workload = workload;
    this.#files = files;
    this.#close = close;
  }

  /** To be disposed of: a workload that does not run is locked until then. */
  static async open(
    context: EngineContext,
    workload: Workload,
    options: { readonly mounts: boolean },
  ): Promise<WorkloadFiles> {
    const opened = await openFiles(context, workload, options);
    return new WorkloadFiles(workload, opened.files, () => opened[Symbol.asyncDispose]());
  }

  /** What is at a path; its own `path` is the last part of the one asked for. */
  async status(path: string): Promise<FileEntry> {
    const absolute = absolutePath(path);
    return { ...(await this.#files.status(absolute)), path: baseOf(absolute) };
  }

  /** A tar of the file or directory at a path, with its last part, or `as`, before each name, as Docker has it. */
  archive(path: string, as?: string): AsyncGenerator<Uint8Array, void, undefined> {
    const absolute = absolutePath(path);
    const base = as === undefined ? baseOf(absolute) : Buffer.from(as).toString("latin1");
    // A directory that is named by its inside (`/a/.`) is archived as `.`.
    const stem = base === "/" ? "" : base;
    return tarOf(this.#files.read(absolute), (inner) => (inner === "" ? base : `${stem}/${inner}`));
  }

  /** A tar of everything. */
  export(): AsyncGenerator<Uint8Array, void, undefined> {
    return tarOf(this.#files.readRoot(), (path) => (path === "" ? undefined : path));
  }

  /** Puts a tar's members below the directory at a path. */
  async extract(path: string, tar: AsyncIterable<Uint8Array>, options: WriteOptions): Promise<void> {
    const { spec, name } = this.#workload.record;
    if (spec.readOnlyRoot && !isInMount(spec, path)) throw new HullError("readOnlyRoot", { name });
    await this.#files.write(absolutePath(path), entriesOf(tar), options);
  }

  async changes(): Promise<FileChange[]> {
    return changesOf(this.#files.changes());
  }

  /** The writable layer as the tar of an image's layer; undefined when there is nothing in it. */
  async layerIfAny(): Promise<AsyncGenerator<Uint8Array, void, undefined> | undefined> {
    let empty = true;
    const tar = layerTar(this.#files.layer(), () => {
      empty = false;
    });
    const first = await tar.next();
    if (empty || first.done === true) {
      await tar.return();
      return undefined;
    }
    return (async function* () {
      yield first.value;
      yield* tar;
    })();
  }

  /** The user and group that the workload's own process has; undefined: root, by default. */
  async processOwner(): Promise<WriteOptions["owner"]> {
    const { user } = this.#workload.record.spec.process;
    if (user === "") return undefined;
    const [passwd, group] = [await this.#text("/etc/passwd"), await this.#text("/etc/group")];
    return resolveUser(user, passwd, group);
  }

  /** A small file; empty when there is none. */
  async #text(path: string): Promise<string> {
    const parts: Uint8Array[] = [];
    try {
      for await (const part of this.#files.read(path)) {
        if ("entry" in part && (part.entry.type !== "file" || part.entry.size > smallBytes)) return "";
        if (!("data" in part)) continue;
        parts.push(Buffer.from(part.data));
      }
    } catch (error) {
      if (isHullError(error, "noSuchFile")) return "";
      throw error;
    }
    return Buffer.concat(parts).toString("utf8");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
  }
}

/** Cleaned as text is; whether a link is followed at the end (`/`, `/.`) is kept. */
function absolutePath(path: string): string {
  if (path.includes("\0"))
    throw new HullError("invalidParameter", {
      what: "path",
      value: JSON.stringify(path),
      why: "it has a NUL",
    });
  const bytes = Buffer.from(path, "utf8").toString("latin1");
  const normal = posix.normalize(`/${bytes}`);
  return /(^|\/)\.$/.test(bytes) && normal !== "/" ? `${normal.replace(/\/$/, "")}/.` : normal;
}

/** As Go's filepath.Base: trailing slashes do not count. */
function baseOf(absolute: string): string {
  const path = absolute.replace(/\/+$/, "");
  return path === "" ? "/" : path.slice(path.lastIndexOf("/") + 1);
}

/** Whether a path is in what is mounted into the workload and can be written to. */
function isInMount({ mounts = [] }: SandboxSpec, path: string): boolean {
  const absolute = posix.normalize(`/${path}`);
  const last = mounts.findLast(({ target }) => absolute === target || absolute.startsWith(`${target}/`));
  return last !== undefined && !last.readOnly;
}
