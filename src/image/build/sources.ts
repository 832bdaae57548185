/** What a COPY or ADD names: found in a tree, and told apart from what it was the last time. */
import { HullError } from "../../contract/errors.ts";
import type { Glob } from "../../contract/glob.ts";
import { pathGlob } from "../../contract/ignore-patterns.ts";
import { bytesOf, resolvePath, type TreeNode, textOf } from "./tree/node.ts";

export interface CopySource {
  /** What the file is called when it is put into a directory. */
  readonly name: string;
  readonly node: TreeNode;
  /** Never unpacked, whatever is in it: a download, a here-document. */
  readonly plain?: boolean;
}

/** Finds what each word names; `where` names the tree in errors. Links that are named are followed. */
export function findSources(
  root: TreeNode,
  words: readonly string[],
  where: string,
  hint = "",
): CopySource[] {
  return words.flatMap((word) => {
    const path = bytesOf(word);
    if (/[*?[\\]/.test(word)) {
      const found = matching(root, word);
      if (found.length > 0) return found;
    }
    const { node, path: parts } = resolvePath(root, path);
    if (node === undefined)
      throw new HullError("noSuchObject", { kind: `file in ${where}`, name: `${word}${hint}` });
    const named = path.split("/").filter((part) => part !== "" && part !== ".");
    return [{ name: named.at(-1) ?? parts.at(-1) ?? "", node }];
  });
}

function matching(root: TreeNode, word: string): CopySource[] {
  let pattern: Glob;
  try {
    pattern = pathGlob(
      word
        .split("/")
        .filter((part) => part !== "" && part !== ".")
        .join("/"),
      word,
    );
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new HullError("invalidParameter", { what: "source", value: word, why: error.message });
  }
  const found: CopySource[] = [];
  const visit = (node: TreeNode, path: string): void => {
    for (const name of node.names()) {
      const child = node.child(name);
      const whole = path === "" ? name : `${path}/${name}`;
      if (child === undefined) continue;
      if (pattern.matches([...textOf(whole)])) {
        const target = child.kind === "symlink" ? resolvePath(root, whole).node : child;
        if (target !== undefined) found.push({ name, node: target });
      } else if (child.kind === "directory") visit(child, whole);
    }
  };
  visit(root, "");
  return found;
}

/**
 * A word for the sources' content, as Docker writes it into the history: `file:`, `dir:` or `multi:` and a digest.
 * Names, kinds, modes, owners, attributes and bytes count; times do not.
 */
export async function digestOfSources(sources: readonly CopySource[]): Promise<string> {
  const each: string[] = [];
  for (const source of sources) {
    const hash = new Bun.CryptoHasher("sha256");
    await addNode(hash, source.node, source.node.kind === "directory" ? "" : source.name);
    each.push(`${source.node.kind === "directory" ? "dir" : "file"}:${hash.digest("hex")}`);
  }
  const [only = "", ...more] = each;
  if (more.length === 0) return only;
  return `multi:${new Bun.CryptoHasher("sha256").update(each.join(",")).digest("hex")}`;
}

async function addNode(hash: Bun.CryptoHasher, node: TreeNode, path: string): Promise<void> {
  const xattrs = [...node.xattrs].sort(([a], [b]) => (a < b ? -1 : 1));
  const content = node.kind === "file" ? await node.digest() : "";
  hash.update(
    JSON.stringify([
      path,
      node.kind,
      node.mode,
      node.uid,
      node.gid,
      node.target,
      node.major,
      node.minor,
      xattrs.map(([name, value]) => [name, Buffer.from(value).toString("base64")]),
      content,
    ]),
  );
  for (const name of node.names()) {
    const child = node.child(name);
    if (child !== undefined) await addNode(hash, child, `${path}/${name}`);
  }
}
