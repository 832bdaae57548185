/** What members do to the tree: whiteouts, replacement, and names that would like to be elsewhere. */
import { expect, test } from "bun:test";
import { isHullError } from "../../contract/errors.ts";
import type { TarEntry } from "../tar/entry.ts";
import type { DirectoryInode, Inode } from "./inode.ts";
import { LayerTree } from "./tree.ts";

function entry(path: string, more: Partial<TarEntry> = {}): TarEntry {
  return {
    type: "file",
    path,
    linkTarget: "",
    mode: 0o644,
    uid: 0,
    gid: 0,
    mtime: { seconds: 0, nanoseconds: 0 },
    size: 0,
    deviceMajor: 0,
    deviceMinor: 0,
    xattrs: new Map(),
    sparse: undefined,
    offset: 0,
    ...more,
  };
}

function treeOf(...entries: TarEntry[]): LayerTree {
  const tree = new LayerTree("the test layer");
  for (const each of entries) tree.apply(each);
  return tree;
}

function find(tree: LayerTree, path: string): Inode | undefined {
  let at: Inode | undefined = tree.root;
  for (const name of path.split("/")) at = at?.kind === "directory" ? at.children.get(name) : undefined;
  return at;
}

function directory(tree: LayerTree, path: string): DirectoryInode {
  const found = find(tree, path);
  if (found?.kind !== "directory") throw new Error(`${path} is no directory`);
  return found;
}

const symlink = (path: string, linkTarget: string) => entry(path, { type: "symlink", linkTarget });
const hardlink = (path: string, linkTarget: string) => entry(path, { type: "hardlink", linkTarget });
const folder = (path: string) => entry(path, { type: "directory", mode: 0o755 });

test("a whiteout becomes a character device 0/0", () => {
  const tree = treeOf(folder("etc"), entry("etc/.wh.passwd"));
  expect(find(tree, "etc/passwd")).toMatchObject({
    kind: "character-device",
    major: 0,
    minor: 0,
    whiteout: true,
  });
  expect(find(tree, "etc/.wh.passwd")).toBeUndefined();
});

test("a whiteout hides lower layers only, whichever comes first", () => {
  for (const entries of [
    [entry("a/f"), entry("a/.wh.f")],
    [entry("a/.wh.f"), entry("a/f")],
  ])
    expect(find(treeOf(...entries), "a/f")).toMatchObject({ kind: "file" });
});

test("a directory in the place of a whiteout is opaque", () => {
  expect(directory(treeOf(entry(".wh.d"), folder("d")), "d").opaque).toBe(true);
  expect(directory(treeOf(entry(".wh.d"), entry("d/f")), "d").opaque).toBe(true);
  expect(directory(treeOf(folder("d"), entry(".wh.d")), "d").opaque).toBe(true);
});

test("an opaque marker marks its directory, and AUFS' own files are left out", () => {
  const tree = treeOf(entry("d/.wh..wh..opq"), entry(".wh..wh.plnk/1.2"), entry(".wh..wh.aufs"));
  expect(directory(tree, "d").opaque).toBe(true);
  expect([...tree.root.children.keys()]).toEqual(["d"]);
});

for (const path of [".wh.", ".wh...", ".wh..", "a/.wh.b/c"]) {
  test(`the whiteout ${path} is refused`, () => {
    expect(() => treeOf(entry(path))).toThrow(/is corrupt/);
  });
}

test("overlayfs attributes from an archive are dropped, others are kept", () => {
  const xattrs = new Map(
    [
      "trusted.overlay.opaque",
      "trusted.overlay.redirect",
      "trusted.mine",
      "user.x",
      "security.capability",
      "made.up",
    ].map((name) => [name, Buffer.from("y")]),
  );
  // Only what can be one is kept.
  xattrs.set("security.capability", Buffer.from(`01000002${"00".repeat(16)}`, "hex"));
  const tree = treeOf(entry("d", { type: "directory", xattrs }));
  expect([...(directory(tree, "d").xattrs?.keys() ?? [])]).toEqual([
    "trusted.mine",
    "user.x",
    "security.capability",
  ]);
  expect(directory(tree, "d").opaque).toBe(false);
});

/** Names as they are used to break out of a directory that something unpacks into. */
const breakOuts: readonly (readonly [what: string, entries: readonly TarEntry[]])[] = [
  ["a parent directory", [entry("../escape")]],
  ["a parent directory in the middle", [entry("a/../../escape")]],
  ["parent directories at the end", [entry("a/..")]],
  ["an absolute path with a parent directory", [entry("/../escape")]],
  ["a hard link to a parent directory's file", [hardlink("a", "../etc/passwd")]],
  ["a hard link to a file that is only outside", [hardlink("a", "/etc/passwd")]],
  ["a hard link to the root", [hardlink("a", "/")]],
  ["a hard link to a directory", [folder("d"), hardlink("a", "d")]],
  ["a hard link through a symlink to outside", [symlink("s", "/etc"), hardlink("a", "s/passwd")]],
  ["a hard link through a symlink to the parent", [symlink("s", "../../etc"), hardlink("a", "s/passwd")]],
  ["a loop of symlinks", [symlink("a", "b"), symlink("b", "a"), entry("a/f")]],
  ["a symlink to itself", [symlink("a", "a/a"), entry("a/f")]],
  ["a file below a file", [entry("f"), entry("f/g")]],
  ["a file below a device", [entry("c", { type: "character-device", deviceMajor: 1 }), entry("c/g")]],
  ["the root as a file", [entry("/")]],
  ["the root as a symlink", [symlink("./", "/etc")]],
  ["a component that is too long", [entry("x".repeat(256))]],
  ["a symlink without a target", [symlink("s", "")]],
  ["a device out of range", [entry("c", { type: "block-device", deviceMajor: 4096 })]],
  ["a hard link to a whiteout", [entry(".wh.f"), hardlink("g", "f")]],
];

for (const [what, entries] of breakOuts) {
  test(`refused: ${what}`, () => {
    try {
      treeOf(...entries);
    } catch (error) {
      expect(isHullError(error, "corrupt")).toBe(true);
      return;
    }
    throw new Error("it was taken");
  });
}

test("symlinks on the way are followed inside the tree, as in a chroot", () => {
  const tree = treeOf(
    folder("usr/lib"),
    symlink("lib", "usr/lib"),
    entry("lib/relative"),
    symlink("abs", "/usr/lib"),
    entry("abs/absolute"),
    symlink("out", "../../../usr/lib"),
    entry("out/clamped"),
    symlink("missing", "made/here"),
    entry("missing/f"),
  );
  expect([...directory(tree, "usr/lib").children.keys()]).toEqual(["relative", "absolute", "clamped"]);
  expect(find(tree, "made/here/f")).toMatchObject({ kind: "file" });
  expect(find(tree, "lib")).toMatchObject({ kind: "symlink" });
});

test("a hard link to a symlink shares the symlink", () => {
  const tree = treeOf(symlink("s", "/etc/passwd"), hardlink("h", "s"));
  expect(find(tree, "h")).toBe(find(tree, "s"));
  expect(find(tree, "h")).toMatchObject({ kind: "symlink", links: 2 });
});

test("links below a replaced directory are no longer counted", () => {
  const tree = treeOf(entry("f"), folder("d/e"), hardlink("d/e/g", "f"), hardlink("d/h", "f"), entry("d"));
  expect(find(tree, "f")).toMatchObject({ links: 1 });
  expect(find(tree, "d")).toMatchObject({ kind: "file" });
});

test("absolute and untidy names stay below the root", () => {
  const tree = treeOf(entry("//etc/./passwd"), entry("./etc//group"), folder("etc/"));
  expect([...directory(tree, "etc").children.keys()]).toEqual(["passwd", "group"]);
});

test("metadata is bounded", () => {
  const tree = new LayerTree("the test layer");
  expect(() => tree.charge(2 ** 40)).toThrow(/too large/);
});
