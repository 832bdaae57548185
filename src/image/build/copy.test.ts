/** Layers of COPY and ADD: what is in them, and what a hostile context cannot make them do. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { type TarHeader, tarEnd, tarHeader, tarPadding } from "../../contract/tar-header.ts";
import { openImageStore } from "../store.ts";
import { must } from "../testing/programs.ts";
import { tempDirectory } from "../testing/temp.ts";
import type { BuildSession, StageState } from "./build-store.ts";
import { type CopyPlan, copyLayer, directoryLayer } from "./copy.ts";
import { resolveOwner } from "./owner.ts";
import { digestOfSources, findSources } from "./sources.ts";
import type { TreeNode } from "./tree/node.ts";

interface Member extends Partial<TarHeader> {
  readonly path: string;
  readonly content?: string;
}

function tarOf(members: readonly Member[]): Buffer {
  const parts: Uint8Array[] = [];
  for (const { content, ...member } of members) {
    const body = Buffer.from(content ?? "");
    parts.push(
      tarHeader({
        type: "file",
        mode: 0o644,
        uid: 0,
        gid: 0,
        mtimeSeconds: 1000,
        size: body.length,
        ...member,
      }),
      body,
      tarPadding(body.length),
    );
  }
  return Buffer.concat([...parts, tarEnd]);
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

async function withSession<T>(work: (session: BuildSession) => Promise<T>): Promise<T> {
  await using temp = await tempDirectory();
  const store = await openImageStore(join(temp.path, "root"));
  try {
    return await store.builds.run(work);
  } finally {
    await store.close();
  }
}

async function stageOf(
  session: BuildSession,
  ...layers: readonly (readonly Member[])[]
): Promise<StageState> {
  let state = session.scratch();
  for (const members of layers) {
    const layer = await session.addLayer(once(tarOf(members)), "a layer");
    state = session.next(state, state.config, "2026-01-01T00:00:00Z", layer);
  }
  return state;
}

/** `path: kind mode uid:gid content`, one line for each. */
async function listing(root: TreeNode): Promise<string[]> {
  const lines: string[] = [];
  const visit = async (node: TreeNode, path: string): Promise<void> => {
    for (const name of node.names()) {
      const child = node.child(name);
      if (child === undefined) continue;
      const text: Uint8Array[] = [];
      if (child.kind === "file") for await (const chunk of child.content()) text.push(Uint8Array.from(chunk));
      const what = child.kind === "symlink" ? `-> ${child.target}` : Buffer.concat(text).toString();
      lines.push(
        `${path}/${name}: ${child.kind} ${child.mode.toString(8)} ${child.uid}:${child.gid} ${what}`.trim(),
      );
      if (child.kind === "directory") await visit(child, `${path}/${name}`);
    }
  };
  await visit(root, "");
  return lines;
}

async function copied(
  session: BuildSession,
  state: StageState,
  plan: Omit<CopyPlan, "image" | "owner" | "mode" | "now" | "keepOwners" | "unpacks" | "workingDirectory"> &
    Partial<CopyPlan>,
): Promise<string[]> {
  using before = session.treeOf(state);
  const defaults = { owner: undefined, mode: undefined, now: 5, keepOwners: false, unpacks: false };
  const layer = await session.addLayer(
    copyLayer({ image: before.root, workingDirectory: "/", ...defaults, ...plan }),
    "the copied layer",
  );
  using after = session.treeOf(session.next(state, state.config, "", layer));
  return await listing(after.root);
}

const base: readonly Member[] = [
  { path: "etc", type: "directory", mode: 0o755 },
  { path: "etc/passwd", content: "root:x:0:0::/:/bin/sh\nann:x:1000:100::/:/bin/sh\n" },
  { path: "etc/group", content: "staff:x:50:\n" },
  { path: "usr/lib", type: "directory", mode: 0o755 },
  { path: "lib", type: "symlink", linkTarget: "usr/lib", mode: 0o777 },
  { path: "up", type: "symlink", linkTarget: "../../../../usr", mode: 0o777 },
  { path: "tmp", type: "directory", mode: 0o1777, uid: 7, gid: 8 },
];

describe("copying", () => {
  test("whoever goes through a directory's files has its names read once", async () => {
    await withSession(async (session) => {
      using tree = session.treeOf(await stageOf(session, base));
      const etc = tree.root.child("etc");
      expect(etc?.kind).toBe("directory");
      expect(tree.root.child("etc")).toBe(etc);
      expect(tree.root.child("usr")?.child("lib")?.kind).toBe("directory");
      expect(tree.root.child("lib")?.kind).toBe("symlink");
    });
  });

  test("directories keep their attributes, links in the image are followed inside it", async () => {
    await withSession(async (session) => {
      const state = await stageOf(session, base);
      await using context = await session.receiveContext(
        once(
          tarOf([
            { path: "a", content: "A", mode: 0o755, uid: 5, gid: 6 },
            { path: "d/lib/x", content: "X" },
            { path: "d/sub", type: "directory", mode: 0o700 },
            { path: "link", type: "symlink", linkTarget: "a" },
          ]),
        ),
        "the context",
      );
      const file = findSources(context.root, ["link"], "the context");
      expect(await copied(session, state, { sources: file, destination: "up/../tmp/new/" })).toContain(
        "/tmp/new/link: file 755 0:0 A",
      );
      const lines = await copied(session, state, { sources: file, destination: "/tmp/" });
      expect(lines).toContain("/tmp: directory 1777 7:8");
      expect(lines).toContain("/tmp/link: file 755 0:0 A");
      const whole = await copied(session, state, {
        sources: findSources(context.root, ["d"], "the context"),
        destination: "/",
        owner: { uid: 3, gid: 4 },
        mode: 0o640,
      });
      expect(whole).toContain("/lib: symlink 777 0:0 -> usr/lib");
      expect(whole).toContain("/usr/lib/x: file 640 3:4 X");
      expect(whole).toContain("/sub: directory 640 3:4");
      expect(await copied(session, state, { sources: file, destination: "/new/deep/name" })).toContain(
        "/new/deep/name: file 755 0:0 A",
      );
    });
  });

  test("what cannot be is refused before anything is made of it", async () => {
    await withSession(async (session) => {
      const state = await stageOf(session, base);
      await using context = await session.receiveContext(
        once(tarOf([{ path: "a" }, { path: "b" }, { path: ".wh.c" }, { path: "d/e" }])),
        "the context",
      );
      const sources = (...words: string[]) => findSources(context.root, words, "the context");
      const attempt = (words: string[], destination: string) =>
        copied(session, state, { sources: sources(...words), destination });
      expect(attempt(["a", "b"], "/x")).rejects.toThrow("must be a directory and end with a /");
      expect(attempt(["a"], "/etc/passwd/")).rejects.toThrow("not a directory");
      expect(attempt(["a"], "/etc/passwd/x")).rejects.toThrow("not a directory");
      expect(attempt(["d"], "/etc/passwd")).rejects.toThrow("it is a file in the image");
      expect(attempt([".wh.c"], "/x/")).rejects.toThrow("called .wh.c is not supported");
      expect(() => sources("none")).toThrow("No such file in the context: none");
      expect(() => sources("../../etc/passwd")).toThrow("No such file");
    });
  });

  test("wildcards match whole paths, and the digest tells content, not times", async () => {
    await withSession(async (session) => {
      const digest = async (...members: Member[]) => {
        await using context = await session.receiveContext(once(tarOf(members)), "the context");
        return digestOfSources(findSources(context.root, ["*.t", "d/?"], "the context"));
      };
      const one = { path: "a.t", content: "1" };
      const two = { path: "d/x", content: "2" };
      const known = await digest(one, two, { path: "other" });
      expect(known).toStartWith("multi:");
      expect(await digest({ ...one, mtimeSeconds: 5 }, two)).toBe(known);
      expect(await digest({ ...one, mode: 0o600 }, two)).not.toBe(known);
      expect(await digest({ ...one, content: "3" }, two)).not.toBe(known);
      expect(await digest({ ...one, path: "b.t" }, two)).not.toBe(known);
    });
  });

  test("an archive is unpacked into the layer, and only there", async () => {
    await withSession(async (session) => {
      const state = await stageOf(session, base);
      const inner = tarOf([
        { path: "lib/", type: "directory", mode: 0o711 },
        { path: "lib/y", content: "Y", uid: 9, gid: 9 },
        { path: "lib/z", type: "hardlink", linkTarget: "lib/y" },
        { path: "dev", type: "character-device", major: 1, minor: 3, mode: 0o666 },
      ]);
      const sources = async (bytes: Buffer) =>
        await session.receiveContext(
          once(tarOf([{ path: "f.tar", size: bytes.length, content: bytes.toString("latin1") }])),
          "the context",
        );
      // Binary content goes through the helper as text, so it has to be ASCII.
      await using context = await sources(inner);
      const found = findSources(context.root, ["f.tar"], "the context");
      const lines = await copied(session, state, { sources: found, destination: "/", unpacks: true });
      expect(lines).toContain("/usr/lib/y: file 644 9:9 Y");
      expect(lines).toContain("/usr/lib/z: file 644 9:9 Y");
      expect(lines).toContain("/dev: character-device 666 0:0");
      expect(await copied(session, state, { sources: found, destination: "/t/" })).toContain(
        `/t/f.tar: file 644 0:0 ${inner.toString()}`.trim(),
      );
      await using hostile = await sources(tarOf([{ path: "a/../../b", content: "x" }]));
      const bad = findSources(hostile.root, ["f.tar"], "the context");
      expect(copied(session, state, { sources: bad, destination: "/t", unpacks: true })).rejects.toThrow(
        'a ".." in it',
      );
      for (const member of [
        { path: ".", content: "x".repeat(512) },
        { path: "./", type: "symlink", linkTarget: "/etc" } as const,
        { path: "y", type: "hardlink", linkTarget: "." } as const,
      ])
        for (const destination of ["/", "/t"]) {
          await using nameless = await sources(tarOf([member]));
          const nowhere = findSources(nameless.root, ["f.tar"], "the context");
          expect(copied(session, state, { sources: nowhere, destination, unpacks: true })).rejects.toThrow(
            "is no directory and has no name",
          );
        }
    });
  });

  test("a directory is made where there is none", async () => {
    await withSession(async (session) => {
      const state = await stageOf(session, base);
      using tree = session.treeOf(state);
      expect(directoryLayer(tree.root, "/lib", 0)).toBeUndefined();
      const made = directoryLayer(tree.root, "/lib/a/b", 0);
      if (made === undefined) throw new Error("it is not there");
      const layer = await session.addLayer(made, "it");
      using after = session.treeOf(session.next(state, state.config, "", layer));
      expect(await listing(after.root)).toContain("/usr/lib/a/b: directory 755 0:0");
      expect(await resolveOwner(tree.root, "ann")).toEqual({ uid: 1000, gid: 1000 });
      expect(await resolveOwner(tree.root, "ann:staff")).toEqual({ uid: 1000, gid: 50 });
      expect(resolveOwner(tree.root, "bob")).rejects.toThrow("no user bob");
    });
  });
});

describe("layers above each other", () => {
  test("are merged as overlayfs merges them", async () => {
    await withSession(async (session) => {
      const state = await stageOf(
        session,
        [
          { path: "a/one", content: "1" },
          { path: "b/two", content: "2" },
          { path: "c", content: "file" },
          { path: "gone", content: "x" },
          { path: "hard", content: "h" },
        ],
        [
          { path: "a/.wh.one" },
          { path: "a/three", content: "3" },
          { path: "b/.wh..wh..opq" },
          { path: "b/four", content: "4" },
          { path: "c/five", content: "5" },
          { path: ".wh.gone" },
        ],
        [{ path: "a/one", content: "again" }],
      );
      using tree = session.treeOf(state);
      expect(await listing(tree.root)).toEqual([
        "/a: directory 755 0:0",
        "/a/one: file 644 0:0 again",
        "/a/three: file 644 0:0 3",
        "/b: directory 755 0:0",
        "/b/four: file 644 0:0 4",
        "/c: directory 755 0:0",
        "/c/five: file 644 0:0 5",
        "/hard: file 644 0:0 h",
      ]);
    });
  });
});

describe("a hostile context", () => {
  test.each([
    ["a name that climbs", [{ path: "../x" }], 'a ".." in it'],
    ["a name in the middle that climbs", [{ path: "a/../../x" }], 'a ".." in it'],
    [
      "a name through a link",
      [{ path: "l", type: "symlink", linkTarget: "/etc" }, { path: "l/passwd" }],
      "is not a directory",
    ],
    ["a device", [{ path: "d", type: "block-device", major: 8, minor: 0 }], "has no block devices"],
    ["a link to nothing", [{ path: "h", type: "hardlink", linkTarget: "/etc/passwd" }], "is no file in it"],
    ["a link that climbs", [{ path: "h", type: "hardlink", linkTarget: "../../etc/passwd" }], 'a ".." in it'],
  ] as [string, Member[], string][])("%s is refused", async (_, members, why) => {
    await withSession(async (session) => {
      expect(session.receiveContext(once(tarOf(members)), "the context")).rejects.toThrow(why);
    });
  });

  test("links that lead out stay inside when they are followed", async () => {
    await withSession(async (session) => {
      await using context = await session.receiveContext(
        once(
          tarOf([
            { path: "out", type: "symlink", linkTarget: "/etc/passwd" },
            { path: "up", type: "symlink", linkTarget: "../../../../etc/hostname" },
            { path: "loop", type: "symlink", linkTarget: "loop" },
          ]),
        ),
        "the context",
      );
      for (const word of ["out", "up"])
        expect(() => findSources(context.root, [word], "the context")).toThrow("No such file");
      expect(() => findSources(context.root, ["loop"], "the context")).toThrow("too many symbolic links");
    });
  });

  test(".dockerignore takes away what it names, and what it excepts stays", async () => {
    await withSession(async (session) => {
      await using context = await session.receiveContext(
        once(
          tarOf([
            { path: ".dockerignore", content: "# no\n*.log\n!keep.log\nnode_modules\n**/tmp\n!a/tmp/x\n" },
            { path: "b.log" },
            { path: "keep.log" },
            { path: "d/c.log" },
            { path: "node_modules/x/y" },
            { path: "a/tmp/x" },
            { path: "a/tmp/y" },
          ]),
        ),
        "the context",
      );
      await context.applyIgnoreFile("Dockerfile", new AbortController().signal);
      expect((await listing(context.root)).map((line) => line.split(":")[0])).toEqual([
        "/.dockerignore",
        "/a",
        "/a/tmp",
        "/a/tmp/x",
        "/d",
        "/d/c.log",
        "/keep.log",
      ]);
    });
  });
});

test("headers are what GNU tar reads", async () => {
  await using temp = await tempDirectory();
  const path = join(temp.path, "a.tar");
  const long = `${"d".repeat(150)}/${"é".repeat(60)}`;
  const bytes = tarOf([
    { path: Buffer.from(long).toString("latin1"), content: "x", uid: 3_000_000_000 },
    { path: "l", type: "symlink", linkTarget: "t".repeat(300), mtimeSeconds: -5 },
    { path: "x", content: "y", xattrs: new Map([["user.a", Buffer.from("b\n\0")]]) },
  ]);
  await Bun.write(path, bytes);
  const listed = await must("tar", "--numeric-owner", "--xattrs", "-tvvf", path);
  expect(listed).toContain("3000000000/0");
  expect(listed).toContain("t".repeat(300));
  expect(listed).toContain("user.a");
});
