/** A file of a tree that is in memory: a here-document. */
import type { TreeNode } from "./node.ts";

export function memoryFile(content: Buffer, mtimeSeconds: number): TreeNode {
  return {
    kind: "file",
    mode: 0o644,
    uid: 0,
    gid: 0,
    mtimeSeconds,
    size: content.length,
    target: "",
    major: 0,
    minor: 0,
    xattrs: new Map(),
    identity: "",
    child: () => undefined,
    names: () => [],
    async *content() {
      yield content;
    },
    digest: () => Promise.resolve(new Bun.CryptoHasher("sha256").update(content).digest("hex")),
  };
}
