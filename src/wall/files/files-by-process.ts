/** Files through a process for each operation, which runs where the workload's files are (guest/files). */

import { type ErrorCode, HullError, messageOf } from "../../contract/errors.ts";
import { printable } from "../../contract/printable.ts";
import type { FileEntry, FilePart, Files, LayerEntry, LayerPart, WriteOptions, WritePart } from "../files.ts";
import { endRecord, RecordError, RecordWriter } from "./fields.ts";
import { filesFlags, filesOperations, filesResults } from "./protocol.ts";
import { decodeParts, encodeParts } from "./records.ts";
import { RecordSource, SourceEnded } from "./source.ts";

/** A process that was started for one operation and waits for its request. */
export interface FilesProcess {
  /** What it writes to standard output. */
  readonly output: AsyncIterable<Uint8Array>;
  /** Resolves when more may be written; what a process that has ended does not read is dropped. */
  write(data: Uint8Array): Promise<void>;
  endInput(): Promise<void>;
  /** Its exit code, and what it wrote to standard error. */
  wait(): Promise<{ readonly code: number; readonly message: string }>;
  /** Ends it if it still runs. */
  kill(): void;
}

export interface FilesByProcessOptions {
  /** The workload's, for messages. */
  readonly name: string;
  /** Absolute paths in the workload that something is mounted at which belongs to its files. */
  readonly mounts: readonly string[];
  readonly start: () => Promise<FilesProcess>;
}

type Operation = keyof typeof filesOperations;

export class FilesByProcess implements Files {
  readonly #options: FilesByProcessOptions;

  constructor(options: FilesByProcessOptions) {
    this.#options = options;
  }

  async status(path: string): Promise<FileEntry> {
    for await (const part of this.#stream("status", path, false))
      if ("entry" in part) return this.#plainEntry(part.entry);
    throw this.#broken(new RecordError("there was no entry"));
  }

  read(path: string): AsyncGenerator<FilePart, void, undefined> {
    return this.#plain(path, this.#options.mounts);
  }

  readRoot(): AsyncGenerator<FilePart, void, undefined> {
    return this.#plain("/", []);
  }

  async *#plain(path: string, mounts: readonly string[]): AsyncGenerator<FilePart, void, undefined> {
    for await (const part of this.#stream("read", path, true, mounts))
      yield "entry" in part ? { entry: this.#plainEntry(part.entry) } : part;
  }

  #plainEntry({ type, opaque: _, below: __, ...entry }: LayerEntry): FileEntry {
    if (type === "whiteout") throw this.#broken(new RecordError("there is a whiteout in a plain tree"));
    return { ...entry, type };
  }

  layer(): AsyncGenerator<LayerPart, void, undefined> {
    return this.#stream("layer", "/", true);
  }

  async *changes(): AsyncGenerator<LayerEntry, void, undefined> {
    for await (const part of this.#stream("changes", "/", false)) if ("entry" in part) yield part.entry;
  }

  async write(path: string, parts: AsyncIterable<WritePart>, options: WriteOptions): Promise<void> {
    const process = await this.#options.start();
    let ended = false;
    const end = process.wait().finally(() => {
      ended = true;
    });
    end.catch(() => undefined);
    try {
      await process.write(this.#request("write", path, this.#options.mounts, options));
      for await (const bytes of encodeParts(parts)) {
        if (ended) break;
        await process.write(bytes);
      }
      await process.endInput();
      this.#explain(await end, path);
    } finally {
      process.kill();
    }
  }

  async *#stream(
    operation: Operation,
    path: string,
    withData: boolean,
    mounts = this.#options.mounts,
  ): AsyncGenerator<LayerPart, void, undefined> {
    const process = await this.#options.start();
    try {
      await process.write(this.#request(operation, path, mounts));
      await process.endInput();
      const source = new RecordSource(process.output);
      try {
        yield* decodeParts(source, withData);
      } catch (error) {
        if (error instanceof RecordError) throw this.#broken(error);
        if (!(error instanceof SourceEnded)) throw error;
        this.#explain(await process.wait(), path);
        throw this.#broken(error);
      }
    } finally {
      process.kill();
    }
  }

  #request(
    operation: Operation,
    path: string,
    mounts: readonly string[],
    options?: WriteOptions,
  ): Uint8Array {
    const flags =
      (options?.keepKind === true ? filesFlags.keepKind : 0) |
      (options?.owner === undefined ? 0 : filesFlags.giveOwner);
    const writer = new RecordWriter()
      .u8(filesOperations[operation])
      .u8(flags)
      .u32(options?.owner?.uid ?? 0)
      .u32(options?.owner?.gid ?? 0)
      .text(path)
      .u32(mounts.length);
    for (const mount of mounts) writer.text(mount);
    return operation === "write" ? writer.record() : Buffer.concat([writer.record(), endRecord]);
  }

  #broken(cause: Error): HullError {
    const why = `reading its files: ${messageOf(cause)}`;
    return new HullError("filesFailed", { name: this.#options.name, why }, { cause });
  }

  #explain({ code, message }: { readonly code: number; readonly message: string }, path: string): void {
    if (code === filesResults.done) return;
    const { name } = this.#options;
    const why = printable(message);
    const known: Partial<Record<number, ErrorCode>> = {
      [filesResults.notFound]: "noSuchFile",
      [filesResults.notDirectory]: "notDirectory",
      [filesResults.conflict]: "fileConflict",
      [filesResults.readOnly]: "readOnlyRoot",
    };
    if (code === filesResults.noSpace)
      throw new HullError("noSpace", { what: `files of container ${name} (${why})`, path: "its disk" });
    if (code === filesResults.tooLarge)
      throw new HullError("tooLarge", {
        what: `a file of container ${name}`,
        value: why,
        limit: "what Hull takes",
      });
    throw new HullError(known[code] ?? "filesFailed", {
      name,
      path: Buffer.from(path, "latin1").toString("utf8"),
      why: why === "" ? `the program ended with ${code}` : why,
    });
  }
}
