/**
 * The families of archives by which something was made to write outside of the directory that it unpacked into, or
 * to see there what it should not. What a layer holds is looked at through the kernel's own mount, and checked by
 * fsck.erofs.
 */
import { beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { isHullError } from "../../contract/errors.ts";
import { TarParser } from "../tar/parser.ts";
import { convert } from "../testing/convert.ts";
import { must, type Tree, treesOfLayers } from "../testing/programs.ts";
import { directory, extension, file, hardlink, type RawMember, rawTar, symlink } from "../testing/raw-tar.ts";
import { tempDirectory } from "../testing/temp.ts";
import { LayerTree } from "./tree.ts";

setDefaultTimeout(120_000);

/** The names a layer must hold besides its root, and what else must be true of it. */
interface Taken {
  readonly what: string;
  readonly tar: Buffer;
  readonly names: readonly string[];
  readonly look?: (tree: Tree) => void;
}

const device = (name: string, type: string, major: number, minor: number): RawMember => ({
  name,
  type,
  device: [major, minor],
});

const taken: readonly Taken[] = [
  names("absolute names", [file("/etc/passwd"), file("//etc//group")], "/etc", "/etc/group", "/etc/passwd"),
  names("names with ./ in them", [file("./a/././b"), directory("./")], "/a", "/a/b"),
  names(
    "a symlink to outside, and a file below it",
    [symlink("s", "/etc"), file("s/passwd")],
    ...["/etc", "/etc/passwd", "/s"],
  ),
  names(
    "a symlink to the parent of the root, and a file below it",
    [symlink("s", "../../../../tmp"), file("s/f")],
    ...["/s", "/tmp", "/tmp/f"],
  ),
  names(
    "a chain of symlinks, the last of them to outside",
    [symlink("a", "b"), symlink("b", "/c/../../d"), directory("c"), file("a/f")],
    ...["/a", "/b", "/c", "/d", "/d/f"],
  ),
  {
    ...names("a symlink in the place of the file", [symlink("f", "/etc/shadow"), file("f")], "/f"),
    look: (tree) => expect(tree["/f"]?.type).toBe("file"),
  },
  {
    ...names("a directory in the place of a symlink to one", [
      directory("d"),
      symlink("s", "d"),
      directory("s"),
      file("s/f"),
    ]),
    names: ["/d", "/s", "/s/f"],
    look: (tree) => expect(tree["/s"]?.type).toBe("directory"),
  },
  {
    ...names(
      "a hard link to a symlink, and a file of its name after it",
      [symlink("s", "/etc/passwd"), hardlink("h", "s"), file("h", "new")],
      ...["/h", "/s"],
    ),
    look: (tree) => {
      expect(tree["/s"]).toMatchObject({ type: "symlink", target: "/etc/passwd", links: 1 });
      expect(tree["/h"]).toMatchObject({ type: "file", size: 3 });
    },
  },
  names(
    "a hard link through a symlink that leads out and back in",
    [directory("etc"), file("etc/passwd"), symlink("s", "/../../etc"), hardlink("h", "s/passwd")],
    ...["/etc", "/etc/passwd", "/h", "/s"],
  ),
  {
    ...names("a hard link to an absolute name", [file("f"), hardlink("h", "/f")], "/f", "/h"),
    look: (tree) => expect(tree["/h"]?.same).toBe("/f"),
  },
  {
    ...names(
      "whiteouts through a symlink to outside",
      [symlink("s", "/etc"), file("s/.wh.passwd"), symlink("t", "../.."), file("t/.wh.home")],
      ...["/etc", "/etc/passwd", "/home", "/s", "/t"],
    ),
    look: (tree) => {
      for (const name of ["/etc/passwd", "/home"])
        expect(tree[name]).toMatchObject({ type: "character", device: "0:0" });
    },
  },
  {
    ...names("an opaque marker through a symlink", [symlink("s", "/d"), file("s/.wh..wh..opq")], "/d", "/s"),
    look: (tree) => expect(tree["/d"]?.xattrs).toEqual({ "trusted.overlay.opaque": "79" }),
  },
  {
    ...names("a whiteout of what the layer has, before and after", [
      file("a/.wh.f"),
      file("a/f"),
      file("a/g"),
      file("a/.wh.g"),
    ]),
    names: ["/a", "/a/f", "/a/g"],
    look: (tree) => expect(tree["/a/g"]?.type).toBe("file"),
  },
  {
    ...names("the same whiteout twice, and of a directory with things in it", [
      file(".wh.d"),
      file(".wh.d"),
      file("d/f"),
      file(".wh.d"),
    ]),
    names: ["/d", "/d/f"],
    look: (tree) => expect(tree["/d"]?.xattrs).toEqual({ "trusted.overlay.opaque": "79" }),
  },
  {
    ...names("a file, a directory, a file and a directory of one name", [
      file("x"),
      directory("x"),
      file("x/y"),
      file("x", "file"),
      directory("x"),
    ]),
    names: ["/x"],
    look: (tree) => expect(tree["/x"]).toMatchObject({ type: "directory", links: 2 }),
  },
  {
    ...names("one name many times, with data each time", [
      ...Array.from({ length: 50 }, (_, i) => file("f", "x".repeat(i))),
      file("f", "last"),
    ]),
    names: ["/f"],
    look: (tree) => expect(tree["/f"]).toMatchObject({ size: 4, links: 1 }),
  },
  {
    ...names("device nodes", [
      device("null", "3", 1, 3),
      device("sda", "4", 8, 0),
      device("high", "4", 4095, 1_048_575),
      device("pipe", "6", 0, 0),
    ]),
    names: ["/high", "/null", "/pipe", "/sda"],
    look: (tree) => expect(tree["/high"]?.device).toBe("4095:1048575"),
  },
  {
    what: "a sparse file of a terabyte with a byte at either end",
    tar: rawTar({
      name: "sparse",
      data: "ab",
      pax: [`GNU.sparse.size=${2 ** 40}`, `GNU.sparse.map=0,1,${2 ** 40 - 1},1`],
    }),
    names: ["/sparse"],
    look: (tree) => expect(tree["/sparse"]?.size).toBe(2 ** 40),
  },
  {
    what: "setuid, large numbers for owners, and times before the epoch",
    tar: rawTar({
      name: "su",
      mode: 0o6755,
      pax: ["uid=4294967294", "gid=4000000000", "mtime=-99999999999.5"],
    }),
    names: ["/su"],
    look: (tree) =>
      expect(tree["/su"]).toMatchObject({
        mode: 0o6755,
        uid: 4_294_967_294,
        gid: 4_000_000_000,
        mtime: "-99999999999500000000",
      }),
  },
  {
    what: "names that are no UTF-8 or have control characters, and what is behind a NUL",
    tar: rawTar(file("\xff\xfe\x01\n"), file("name\0/../../escape", "x")),
    names: ["/name", "/\xff\xfe\x01\n"].sort(),
  },
  {
    what: "attributes by which overlayfs could be lied to",
    tar: rawTar(
      directory("d", {
        pax: [
          ...[
            "opaque=y",
            "redirect=/etc",
            "metacopy=",
            "origin=x",
            "impure=y",
            "nlink=U+1",
            "whiteout=y",
          ].map((text) => `SCHILY.xattr.trusted.overlay.${text}`),
          "LIBARCHIVE.xattr.trusted%2Eoverlay%2Eopaque=eQ==",
          "SCHILY.xattr.trusted.overlay.overlay.opaque=y",
          "SCHILY.xattr.security.selinux=system_u:object_r:shadow_t:s0",
          "SCHILY.xattr.user.kept=1",
        ],
      }),
      { name: "c", pax: ["SCHILY.xattr.security.capability=\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0"] },
    ),
    names: ["/c", "/d"],
    look: (tree) => {
      expect(tree["/d"]?.xattrs).toEqual({ "user.kept": "31" });
      expect(tree["/c"]?.xattrs["security.capability"]).toBe("0100000200200000000000000000000000000000");
    },
  },
  {
    what: "attributes that the kernel lets nobody set",
    tar: rawTar(
      { name: "broken", pax: ["SCHILY.xattr.security.capability=\x01\0\0\x02"] },
      { name: "device", type: "3", device: [1, 3], pax: ["SCHILY.xattr.user.k=v"] },
      { name: "link", type: "2", link: "x", pax: ["SCHILY.xattr.user.k=v", "SCHILY.xattr.trusted.k=v"] },
    ),
    names: ["/broken", "/device", "/link"],
    look: (tree) => {
      expect(tree["/broken"]?.xattrs).toEqual({});
      expect(tree["/device"]?.xattrs).toEqual({});
      expect(tree["/link"]?.xattrs).toEqual({ "trusted.k": "76" });
    },
  },
  names("the longest name", [{ name: "n", pax: [`path=${"n".repeat(255)}`] }], `/${"n".repeat(255)}`),
];

function names(what: string, members: readonly RawMember[], ...found: string[]): Taken {
  return { what, tar: rawTar(...members), names: found };
}

describe("taken, and all of it inside the layer:", () => {
  let trees: readonly Tree[] = [];
  beforeAll(async () => {
    await using temp = await tempDirectory();
    const layers = taken.map((_, index) => join(temp.path, `${index}.erofs`));
    for (const [index, { tar }] of taken.entries()) await convert(tar, layers[index] ?? "", 4096);
    // Nothing but the layers was written.
    expect(readdirSync(temp.path).length).toBe(layers.length);
    trees = await treesOfLayers(layers);
  });

  for (const [index, { what, names: expected, look }] of taken.entries()) {
    test(what, () => {
      const tree = trees[index];
      if (tree === undefined) throw new Error("it was not mounted");
      if (expected.length > 0) expect(Object.keys(tree).slice(1).sort()).toEqual([...expected]);
      look?.(tree);
    });
  }
});

/** Refused by a line that says which member; nothing of the layer is used then. */
const refused: readonly (readonly [what: string, tar: Buffer, message: RegExp])[] = [
  ["..", rawTar(file("..")), /has a ".." in it/],
  [".. at the start of a name", rawTar(file("../../etc/passwd")), /has a ".." in it/],
  [".. behind an absolute name", rawTar(file("/../etc/passwd")), /has a ".." in it/],
  [".. in the middle of a name", rawTar(directory("a"), file("a/../../b")), /has a ".." in it/],
  [".. in a PAX path", rawTar({ name: "a", pax: ["path=x/../../y"] }), /has a ".." in it/],
  [
    ".. in a long name of GNU's",
    Buffer.concat([extension("L", "x/../../y\0"), rawTar(file("a"))]),
    /".." in it/,
  ],
  ["a hard link to ..", rawTar(hardlink("h", "../etc/passwd")), /has a ".." in it/],
  ["a hard link to what is only on the host", rawTar(hardlink("h", "/etc/passwd")), /is not in the archive/],
  ["a hard link to what comes later", rawTar(hardlink("h", "f"), file("f")), /is not in the archive/],
  ["a hard link to itself", rawTar(hardlink("h", "h")), /is not in the archive/],
  ["a hard link to a directory", rawTar(directory("d"), hardlink("h", "d")), /is a directory/],
  ["a hard link to the root", rawTar(hardlink("h", "/")), /is a directory/],
  [
    "a hard link to what a whiteout stands for",
    rawTar(file(".wh.f"), hardlink("h", "f")),
    /not in the archive/,
  ],
  [
    "a hard link to below a symlink to the host",
    rawTar(symlink("s", "/etc"), hardlink("h", "s/passwd")),
    /is not in the archive/,
  ],
  [
    "symlinks in a circle",
    rawTar(symlink("a", "b"), symlink("b", "a"), file("a/f")),
    /too many symbolic links/,
  ],
  ["a file below a file", rawTar(file("f"), file("f/g")), /is not a directory/],
  ["a file below a device", rawTar(device("d", "4", 8, 0), file("d/g")), /is not a directory/],
  ["the root as a file", rawTar(file("/.", "x")), /root directory/],
  ["the root as a symlink", rawTar(symlink(".", "/etc")), /root directory/],
  ["the root as a device", rawTar(device("./", "4", 8, 0)), /root directory/],
  ["a whiteout of the root", rawTar(file(".wh.")), /whiteout of no name/],
  ["a whiteout of the directory itself", rawTar(file("d/.wh..")), /whiteout of no name/],
  ["a whiteout of the parent", rawTar(file("d/.wh...")), /whiteout of no name/],
  ["a file below a whiteout", rawTar(file(".wh.d/f")), /is a whiteout/],
  [
    "a name of 256 bytes",
    rawTar({ name: "n", pax: [`path=${"n".repeat(256)}`] }),
    /over the limit of 255 bytes/,
  ],
  [
    "a name of 5,000 bytes",
    rawTar({ name: "n", pax: [`path=${"n/".repeat(2500)}`] }),
    /over the limit of 4096/,
  ],
  ["a NUL in a name", rawTar({ name: "n", pax: ["path=a\0b"] }), /NUL/],
  ["a NUL in an attribute's name", rawTar({ name: "n", pax: ["SCHILY.xattr.user.a\0b=x"] }), /NUL/],
  [
    "an owner of 33 bits",
    rawTar({ name: "n", fields: { 108: "\x80\0\0\x01\0\0\0\0" } }),
    /not a 32-bit number/,
  ],
  [
    "a size of 2^90",
    rawTar({ name: "n", fields: { 124: `\x80\x04${"\0".repeat(10)}` } }),
    /size is too large/,
  ],
  ["a negative size", rawTar({ name: "n", fields: { 124: "\xff".repeat(12) } }), /size is negative/],
  [
    "a file that ends before its size",
    rawTar({ name: "f", claimedSize: 8 ** 10, data: "x" }),
    /ends in the middle/,
  ],
  [
    "a PAX size larger than the archive",
    rawTar({ name: "f", data: "x", pax: ["size=999999"] }),
    /ends in the middle/,
  ],
  ["a PAX header of 2 MiB", extension("x", Buffer.alloc(2 ** 21, "9")), /over the limit of 1048576/],
  ["a long name of 2 MiB", extension("L", Buffer.alloc(2 ** 21, "n")), /over the limit of 1048576/],
  [
    "20,000 attributes of one file",
    rawTar({ name: "f", pax: Array.from({ length: 20_000 }, (_, i) => `SCHILY.xattr.user.${i}=0123456789`) }),
    /extended attributes of one file is over the limit/,
  ],
  [
    "a sparse file with a gigabyte of map",
    rawTar({ name: "f", pax: ["GNU.sparse.major=1", "GNU.sparse.minor=0"], data: "99999999999\n" }),
    /over the limit of 1000000/,
  ],
  [
    "sparse files that fill the file system's numbers",
    rawTar({
      name: "f",
      data: "x".repeat(100),
      pax: [
        `GNU.sparse.size=${2 ** 52}`,
        `GNU.sparse.map=${Array.from({ length: 100 }, (_, i) => `${i * 2 ** 45},1`).join()}`,
      ],
    }),
    /is over the limit of \d+ blocks/,
  ],
  ["a device that there is not", rawTar(device("d", "4", 4096, 0)), /no device 4096:0/],
  ["a type that is not known", rawTar({ name: "n", type: "Z" }), /type "Z" is not known/],
];

describe("refused:", () => {
  for (const [what, tar, message] of refused) {
    test(what, async () => {
      await using temp = await tempDirectory();
      const outcome = await convert(tar, join(temp.path, "layer")).catch((error: unknown) => error);
      expect(isHullError(outcome, "corrupt") || isHullError(outcome, "tooLarge")).toBe(true);
      expect(String(outcome)).toMatch(message);
    });
  }
});

test("taken: directories 10,000 deep, reached by symlinks to what a name can say", async () => {
  const members: RawMember[] = [];
  const below = "d/".repeat(999);
  for (let step = 0, above = ""; step < 10; step++, above = `s${step - 1}/`)
    members.push(
      { name: "deep", type: "5", mode: 0o755, pax: [`path=${above}${step}/${below}`] },
      { name: "link", type: "2", pax: [`path=s${step}`, `linkpath=${above}${step}/${below}`] },
    );
  await using temp = await tempDirectory();
  const layer = join(temp.path, "layer");
  await convert(rawTar(...members, file("s9/bottom")), layer);
  // By steps: no path reaches so deep.
  const program = `
import os
depth, names = 0, ['0']
while names:
    if os.path.isdir(names[0]): os.chdir(names[0]); depth += 1
    else: print(depth, open(names[0]).read()); break
    names = [n for n in os.listdir('.') if not os.path.islink(n)]
`;
  const script = `mount -t erofs -o ro "$1" /mnt && cd /mnt && exec python3 -c "$2"`;
  expect(await must("unshare", "-m", "sh", "-c", script, "sh", layer, program)).toBe("10000 s9/bottom\n");
});

test("refused: a few bytes each that ask for 80,000 steps", async () => {
  const tree = new LayerTree("the layer");
  const parse = new TarParser("the layer", { entry: (e) => tree.apply(e), data() {}, entryEnd() {} });
  const links = Array.from({ length: 39 }, (_, i) => ({
    name: "s",
    type: "2",
    pax: [`path=s${i}`, `linkpath=${"./".repeat(2000)}${i === 0 ? "d" : `s${i - 1}`}`],
  }));
  parse.push(rawTar(directory("d"), ...links).subarray(0, -1024));
  const member = rawTar(file("s38/f", "")).subarray(0, 512);
  expect(() => {
    for (let i = 0; i < 1000; i++) parse.push(member);
  }).toThrow(/the way through symbolic links to its members is over the limit/);
});

/** Runs a shell script with `above` over `below`, as the walls stack them, in the working directory. */
async function stacked(below: Buffer, above: Buffer, script: string): Promise<string> {
  await using temp = await tempDirectory();
  const paths = [join(temp.path, "below"), join(temp.path, "above")] as const;
  await convert(below, paths[0]);
  await convert(above, paths[1]);
  const mounts = [
    "mount -t tmpfs tmpfs /mnt && cd /mnt && mkdir below above upper work merged",
    'mount -t erofs -o ro "$1" below && mount -t erofs -o ro "$2" above',
    "mount -t overlay -o lowerdir=above:below,upperdir=upper,workdir=work,index=off overlay merged && cd merged",
  ];
  return await must("unshare", "-m", "sh", "-c", [...mounts, script].join(" && "), "sh", ...paths);
}

test("overlayfs takes nothing from attributes that a layer brings, whatever their name space", async () => {
  const lies = ["trusted", "user"].flatMap((space) =>
    ["opaque=y", "redirect=/secret", "metacopy="].map((lie) => `SCHILY.xattr.${space}.overlay.${lie}`),
  );
  const below = rawTar(file("d/old", "old"), file("secret/key", "key"), file("f", "below"));
  const above = rawTar(directory("d", { pax: lies }), { name: "f", data: "above", pax: lies });
  expect(await stacked(below, above, "cat f && ls d && cat d/old")).toBe("aboveold\nold");
});

test("what one layer says of another's files is what umoci makes of it", async () => {
  const below = rawTar(
    directory("d"),
    ...[file("d/a"), file("d/b"), file("gone"), directory("e"), file("e/old"), symlink("s", "d")],
    ...[file("file-then-directory"), directory("directory-then-file"), file("directory-then-file/x")],
  );
  const above = rawTar(
    ...[directory("d"), file("d/.wh.a"), file("./d/c"), file(".wh.gone"), file(".wh.never-there")],
    ...[directory("e"), file("e/.wh..wh..opq"), file("e/new"), hardlink("e/hard", "e/new")],
    ...[directory("file-then-directory"), file("file-then-directory/y"), file("directory-then-file")],
    ...[file("/twice", "first"), file("twice", "second"), file(".wh.s"), directory("s"), file("s/own")],
  );
  const list = 'find . -printf "%p %y %m %n %s\\n" | grep -v " d " | LC_ALL=C sort';
  await using temp = await tempDirectory();
  const image = `${temp.path}/layout:image`;
  await must("umoci", "init", "--layout", `${temp.path}/layout`);
  await must("umoci", "new", "--image", image);
  for (const [name, tar] of [["below", below] as const, ["above", above] as const]) {
    await Bun.write(join(temp.path, name), tar);
    await must("umoci", "raw", "add-layer", "--image", image, join(temp.path, name));
  }
  await must("umoci", "unpack", "--image", image, join(temp.path, "bundle"));
  const theirs = await must("sh", "-c", `cd "$1/bundle/rootfs" && ${list}`, "sh", temp.path);
  expect(theirs).toContain("./s/own f");
  expect(await stacked(below, above, list)).toBe(theirs);
});
