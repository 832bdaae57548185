/** The files of one workload, as the API asks for them. */
import { posix } from "node:path";
import { HullError } from "../../contract/errors.ts";
import type { FileEntry, Files, WriteOptions } from "../../wall/files.ts";
import type { EngineContext } from "../context.ts";
import type { Workload } from "../workload.ts";
import { openFiles } from "./access.ts";
import { changesOf, type FileChange } from "./changes.ts";
import { layerTar } from "./layer.ts";
import { entriesOf } from "./tar-entries.ts";
import { tarOf } from "./tar-stream.ts";

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
  static async open(context: EngineContext, workload: Workload): Promise<WorkloadFiles> {
    const opened = await openFiles(context, workload);
    return new WorkloadFiles(workload, opened.files, () => opened[Symbol.asyncDispose]());
  }

  /** What is at a path; its own `path` is the last part of the one asked for. */
  async status(path: string): Promise<FileEntry> {
    const absolute = absolutePath(path);
    return { ...(await this.#files.status(absolute)), path: baseOf(absolute) };
  }

  /** A tar of the file or directory at a path, with its last part before each name, as Docker has it. */
  archive(path: string): AsyncGenerator<Uint8Array, void, undefined> {
    const absolute = absolutePath(path);
    const base = baseOf(absolute);
    // A directory that is named by its inside (`/a/.`) is archived as `.`.
    const stem = base === "/" ? "" : base;
    return tarOf(this.#files.read(absolute), (inner) => (inner === "" ? base : `${stem}/${inner}`));
  }

  /** A tar of everything. */
  export(): AsyncGenerator<Uint8Array, void, undefined> {
    return tarOf(this.#files.read("/"), (path) => (path === "" ? undefined : path));
  }

  /** Puts a tar's members below the directory at a path. */
  async extract(path: string, tar: AsyncIterable<Uint8Array>, options: WriteOptions): Promise<void> {
    const { spec, name } = this.#workload.record;
    if (spec.readOnlyRoot) throw new HullError("readOnlyRoot", { name });
    await this.#files.write(absolutePath(path), entriesOf(tar), options);
  }

  async changes(): Promise<FileChange[]> {
    return changesOf(this.#files.changes());
  }

  /** The writable layer as a tar; `told` is called if there is anything in it. */
  layer(told: () => void = () => undefined): AsyncGenerator<Uint8Array, void, undefined> {
    return layerTar(this.#files.layer(), told);
  }

  /** A small file, such as /etc/passwd; undefined when there is none. */
  async smallFile(path: string, limit: number): Promise<Buffer | undefined> {
    const parts: Uint8Array[] = [];
    let size = 0;
    try {
      for await (const part of this.#files.read(absolutePath(path))) {
        if ("entry" in part && (part.entry.type !== "file" || part.entry.size > limit)) return undefined;
        if (!("data" in part)) continue;
        parts.push(Buffer.from(part.data));
        size += part.data.length;
      }
    } catch (error) {
      if (error instanceof HullError && error.code === "noSuchFile") return undefined;
      throw error;
    }
    return Buffer.concat(parts, size);
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
