/**
 * A file tree that is only looked at: a build's context, or the merged layers of an image. Names are latin1 strings,
 * one character per byte, as in a tar.
 *
 * Nothing here is on a file system that resolves names, so no name and no link can lead out of its tree.
 */
import { HullError } from "../../../contract/errors.ts";

export interface TreeNode {
  readonly kind: "file" | "directory" | "symlink" | "character-device" | "block-device" | "fifo" | "socket";
  /** Permission bits with setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeSeconds: number;
  readonly size: number;
  /** Of a symlink. */
  readonly target: string;
  readonly major: number;
  readonly minor: number;
  readonly xattrs: ReadonlyMap<string, Uint8Array>;
  /** Names of one file share it; empty for a file that has one name. */
  readonly identity: string;
  child(name: string): TreeNode | undefined;
  /** In the order of their bytes. */
  names(): string[];
  /** The bytes of a file. */
  content(): AsyncIterable<Uint8Array>;
  /** SHA-256 of the bytes of a file, in hexadecimal digits. */
  digest(): Promise<string>;
}

export interface Resolved {
  /** From the root on, without links, dots and empty parts; the last ones may be missing in the tree. */
  readonly path: readonly string[];
  /** Undefined when there is nothing. */
  readonly node: TreeNode | undefined;
}

/** As many symlinks as Linux follows in one path. */
const maxSymlinks = 40;

/**
 * Follows a path as a process would whose root the tree is: links and `..` stay inside. The last part is followed
 * too unless told otherwise. What is missing is taken as it is written.
 */
export function resolvePath(root: TreeNode, path: string, last: "follow" | "keep" = "follow"): Resolved {
  const ahead = path.split("/").toReversed();
  const names: string[] = [];
  const nodes: (TreeNode | undefined)[] = [];
  let symlinks = 0;
  for (let name = ahead.pop(); name !== undefined; name = ahead.pop()) {
    if (name === "" || name === ".") continue;
    if (name === "..") {
      names.pop();
      nodes.pop();
      continue;
    }
    const parent = nodes.length === 0 ? root : nodes.at(-1);
    const node = parent?.kind === "directory" ? parent.child(name) : undefined;
    // Looked at for links only: a target may have thousands of dots at its end.
    const isKept = () => last === "keep" && ahead.every((part) => part === "" || part === ".");
    if (node?.kind === "symlink" && !isKept()) {
      symlinks++;
      if (symlinks > maxSymlinks)
        throw new HullError("invalidParameter", {
          what: "path",
          value: textOf(path),
          why: "too many symbolic links on the way",
        });
      if (node.target.startsWith("/")) {
        names.length = 0;
        nodes.length = 0;
      }
      ahead.push(...node.target.split("/").toReversed());
    } else {
      names.push(name);
      nodes.push(node);
    }
  }
  return { path: names, node: names.length === 0 ? root : nodes.at(-1) };
}

/** Text of a Dockerfile as a name in a tree. */
export function bytesOf(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}

/** A name in a tree as text, for people. */
export function textOf(name: string): string {
  return Buffer.from(name, "latin1").toString("utf8");
}

/** Reads a file of a tree that has to fit into memory; undefined when there is none. */
export async function readTreeFile(root: TreeNode, path: string, limit: number): Promise<Buffer | undefined> {
  const { node } = resolvePath(root, path);
  if (node?.kind !== "file") return undefined;
  if (node.size > limit)
    throw new HullError("tooLarge", {
      what: textOf(path),
      value: `${node.size} bytes`,
      limit: `${limit} bytes`,
    });
  const parts: Uint8Array[] = [];
  for await (const part of node.content()) parts.push(Uint8Array.from(part));
  return Buffer.concat(parts);
}

export async function digestOfContent(content: AsyncIterable<Uint8Array>): Promise<string> {
  const hash = new Bun.CryptoHasher("sha256");
  for await (const chunk of content) hash.update(chunk);
  return hash.digest("hex");
}
