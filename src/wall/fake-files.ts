/** Files in memory, for walls in memory: regular files only, each with its content by its absolute path. */
import { HullError } from "../contract/errors.ts";
import type { FileEntry, FilePart, Files, LayerEntry, LayerPart, WritePart } from "./files.ts";

export class FakeFiles implements Files {
  readonly #contents: Map<string, string>;

  constructor(contents: Map<string, string>) {
    this.#contents = contents;
  }

  async status(path: string): Promise<FileEntry> {
    const content = this.#contents.get(path);
    if (content !== undefined) return entryOf("file", "", content);
    if (!this.#below(path).length) throw new HullError("noSuchFile", { name: "it", path });
    return entryOf("directory", "", "");
  }

  async *read(path: string): AsyncGenerator<FilePart, void, undefined> {
    yield { entry: await this.status(path) };
    const own = this.#contents.get(path);
    if (own !== undefined) yield { data: Buffer.from(own) };
    for (const below of this.#below(path)) {
      const content = this.#contents.get(below) ?? "";
      yield { entry: entryOf("file", below.slice(prefixOf(path).length), content) };
      if (content !== "") yield { data: Buffer.from(content) };
    }
  }

  readRoot(): AsyncGenerator<FilePart, void, undefined> {
    return this.read("/");
  }

  async write(path: string, parts: AsyncIterable<WritePart>): Promise<void> {
    let name = "";
    for await (const part of parts)
      if ("entry" in part) {
        name = `${prefixOf(path)}${part.entry.path}`;
        if (part.entry.type === "whiteout") this.#contents.delete(name);
        if (part.entry.type === "file") this.#contents.set(name, "");
      } else this.#contents.set(name, (this.#contents.get(name) ?? "") + Buffer.from(part.data).toString());
  }

  async *layer(): AsyncGenerator<LayerPart, void, undefined> {
    for await (const entry of this.changes()) {
      yield { entry };
      const content = this.#contents.get(`/${entry.path}`) ?? "";
      if (content !== "") yield { data: Buffer.from(content) };
    }
  }

  async *changes(): AsyncGenerator<LayerEntry, void, undefined> {
    for (const [path, content] of [...this.#contents].sort())
      yield { ...entryOf("file", path.slice(1), content), opaque: false, below: undefined };
  }

  #below(path: string): string[] {
    return [...this.#contents.keys()].filter((each) => each.startsWith(prefixOf(path))).sort();
  }
}

function prefixOf(path: string): string {
  return path.endsWith("/") ? path : `${path}/`;
}

function entryOf(type: "file" | "directory", path: string, content: string): FileEntry {
  return {
    type,
    path,
    linkTarget: "",
    mode: type === "file" ? 0o644 : 0o755,
    uid: 0,
    gid: 0,
    mtime: { seconds: 0, nanoseconds: 0 },
    size: Buffer.byteLength(content),
    deviceMajor: 0,
    deviceMinor: 0,
    xattrs: new Map(),
    sparse: undefined,
  };
}
