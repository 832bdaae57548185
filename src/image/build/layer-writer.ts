/**
 * The tar of a layer that a COPY, an ADD or a WORKDIR makes, as a stream. Paths are those of the image's root, with
 * its links followed inside it, and every directory on the way is in the tar with the attributes it has: one that is
 * only implied would get plain ones and hide those below.
 */
import { HullError } from "../../contract/errors.ts";
import { type TarHeader, tarEnd, tarHeader, tarPadding } from "../../contract/tar-header.ts";
import type { Owner } from "./owner.ts";
import { resolvePath, type TreeNode, textOf } from "./tree/node.ts";

export interface WriterOptions {
  /** Root of the image as it is before. */
  readonly image: TreeNode;
  /** Undefined: what is made belongs to root, what is copied keeps nothing of its owner. */
  readonly owner: Owner | undefined;
  /** Permission bits for all that is copied; undefined: their own. */
  readonly mode: number | undefined;
  /** Seconds since the epoch, for directories that are made. */
  readonly now: number;
  /** Whether copied files keep their owners when none is given: in an image they are meant, in a context they are not. */
  readonly keepOwners: boolean;
}

type Piece = Uint8Array | AsyncIterable<Uint8Array>;

export class LayerWriter {
  readonly #options: WriterOptions;
  /** Directories that are in the tar. */
  readonly #made = new Set<string>([""]);
  readonly #linked = new Map<string, string>();
  #empty = true;

  constructor(options: WriterOptions) {
    this.#options = options;
  }

  /** Whether nothing was put into the tar: the image has it all. */
  get empty(): boolean {
    return this.#empty;
  }

  /** The directory itself and all on the way to it. */
  *directory(parts: readonly string[]): Generator<Uint8Array> {
    let node: TreeNode | undefined = this.#options.image;
    for (let count = 1; count <= parts.length; count++) {
      node = node?.kind === "directory" ? node.child(parts[count - 1] ?? "") : undefined;
      const path = parts.slice(0, count).join("/");
      if (this.#made.has(path)) continue;
      this.#made.add(path);
      if (node !== undefined && node.kind !== "directory")
        throw new HullError("invalidParameter", {
          what: "destination",
          value: `/${textOf(path)}`,
          why: "it is not a directory in the image",
        });
      yield this.#header({
        path,
        type: "directory",
        size: 0,
        ...(node === undefined
          ? { mode: 0o755, ...this.#madeBy(), mtimeSeconds: this.#options.now }
          : {
              mode: node.mode,
              uid: node.uid,
              gid: node.gid,
              mtimeSeconds: node.mtimeSeconds,
              xattrs: node.xattrs,
            }),
      });
    }
  }

  /** A file, a link or a whole directory at `parts`, whose way has no links. */
  *copy(node: TreeNode, parts: readonly string[]): Generator<Piece> {
    const at = this.#imageNode(parts);
    if (node.kind === "directory") {
      yield* this.#copyDirectory(node, parts, at);
      return;
    }
    if (at?.kind === "directory")
      throw new HullError("invalidParameter", {
        what: "destination",
        value: `/${textOf(parts.join("/"))}`,
        why: "cannot overwrite a directory with a file",
      });
    yield* this.directory(parts.slice(0, -1));
    yield* this.#copyFile(node, parts);
  }

  /** A member of an archive that is unpacked; its data follows, if it has any. */
  *member(header: TarHeader, parts: readonly string[]): Generator<Uint8Array> {
    yield* this.directory(parts.slice(0, -1));
    const path = parts.join("/");
    if (header.type === "directory") this.#made.add(path);
    yield this.#header({ ...header, path, ...(this.#options.owner ?? {}) });
  }

  /** What ends the tar. */
  end(): Uint8Array {
    return tarEnd;
  }

  *#copyDirectory(node: TreeNode, parts: readonly string[], at: TreeNode | undefined): Generator<Piece> {
    let into = parts;
    const linked = at?.kind === "symlink" ? resolvePath(this.#options.image, parts.join("/")) : undefined;
    if (linked?.node?.kind === "directory") {
      // A link to a directory stays: replacing it would take away what others find through it.
      into = linked.path;
      yield* this.directory(into);
    } else if (parts.length > 0) {
      yield* this.directory(parts.slice(0, -1));
      this.#made.add(parts.join("/"));
      yield this.#header({ ...this.#attributes(node), path: parts.join("/"), type: "directory", size: 0 });
    }
    yield* this.contents(node, into);
  }

  /** What is in a directory, at `parts`, which is there already. */
  *contents(node: TreeNode, parts: readonly string[]): Generator<Piece> {
    for (const name of node.names()) {
      const child = node.child(name);
      if (child !== undefined) yield* this.copy(child, [...parts, name]);
    }
  }

  *#copyFile(node: TreeNode, parts: readonly string[]): Generator<Piece> {
    const { kind } = node;
    // A socket is of the process that listens on it.
    if (kind === "socket" || kind === "directory") return;
    const path = parts.join("/");
    const linked = node.identity === "" ? undefined : this.#linked.get(node.identity);
    if (linked !== undefined) {
      yield this.#header({ ...this.#attributes(node), path, type: "hardlink", size: 0, linkTarget: linked });
      return;
    }
    if (node.identity !== "") this.#linked.set(node.identity, path);
    const size = kind === "file" ? node.size : 0;
    yield this.#header({ ...this.#attributes(node), path, type: kind, size, linkTarget: node.target });
    if (kind !== "file") return;
    yield node.content();
    yield tarPadding(size);
  }

  #attributes(
    node: TreeNode,
  ): Pick<TarHeader, "mode" | "uid" | "gid" | "mtimeSeconds" | "xattrs" | "major" | "minor"> {
    const { mode, keepOwners } = this.#options;
    const owner = keepOwners ? { uid: node.uid, gid: node.gid } : { uid: 0, gid: 0 };
    return {
      mode: mode === undefined || node.kind === "symlink" ? node.mode : mode,
      ...(this.#options.owner ?? owner),
      mtimeSeconds: node.mtimeSeconds,
      xattrs: node.xattrs,
      major: node.major,
      minor: node.minor,
    };
  }

  #madeBy(): Owner {
    return this.#options.owner ?? { uid: 0, gid: 0 };
  }

  #imageNode(parts: readonly string[]): TreeNode | undefined {
    let node: TreeNode | undefined = this.#options.image;
    for (const part of parts) node = node?.kind === "directory" ? node.child(part) : undefined;
    return node;
  }

  #header(header: TarHeader): Uint8Array {
    const name = header.path.slice(header.path.lastIndexOf("/") + 1);
    if (name.startsWith(".wh."))
      throw new HullError("unsupported", {
        what: `a file called ${textOf(name)}`,
        where: " in a layer",
        why: "layers mark removed files so: give it another name",
      });
    this.#empty = false;
    return tarHeader(header);
  }
}

/** The bytes of all pieces. */
export async function* bytesOfPieces(pieces: Iterable<Piece>): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) {
    if (piece instanceof Uint8Array) {
      if (piece.length > 0) yield piece;
    } else yield* piece;
  }
}
