/** Paths of trees that strangers made. */
import { expect, test } from "bun:test";
import { resolvePath, type TreeNode } from "./node.ts";

const blank = {
  ...{ mode: 0o755, uid: 0, gid: 0, mtimeSeconds: 0, size: 0, target: "", major: 0, minor: 0, identity: "" },
  xattrs: new Map<string, Uint8Array>(),
  child: (): TreeNode | undefined => undefined,
  names: () => [],
  async *content() {},
  digest: () => Promise.resolve(""),
};

/** `d` is the directory itself, `lN` a link through many directories to the link before, with a long end. */
const root: TreeNode = {
  ...blank,
  kind: "directory",
  child(name) {
    if (name === "d" || name === "l0") return root;
    if (!/^l\d+$/.test(name)) return undefined;
    const before = Number(name.slice(1)) - 1;
    return { ...blank, kind: "symlink", target: `${"d/".repeat(1500)}l${before}/${"./".repeat(1500)}` };
  },
};

test("links are followed in time that grows with their length", () => {
  for (let times = 0; times < 20; times += 1) expect(resolvePath(root, "l39").path.at(-1)).toBe("l0");
  expect(() => resolvePath(root, "l41")).toThrow("too many symbolic links");
});

test("the last link is kept when asked, whatever dots follow it", () => {
  expect(resolvePath(root, "d/l1", "keep").node?.kind).toBe("symlink");
  expect(resolvePath(root, "d/l1/./", "keep").node?.kind).toBe("symlink");
  expect(resolvePath(root, "l1/d", "keep").node).toBe(root);
});
