/** A layer shows what GNU tar would have unpacked: type, mode, owner, time, attributes, link counts and content. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { statSync } from "node:fs";
import { join } from "node:path";
import { BufferedFile } from "../content/buffered-file.ts";
import { type TarMember, writeTar } from "../tar/writer.ts";
import { convert } from "../testing/convert.ts";
import { must, python, type Tree, treeOfLayer, treeOfTar } from "../testing/programs.ts";
import { tempDirectory } from "../testing/temp.ts";
import { LayerBuilder } from "./builder.ts";

/** Things that archivers and file systems get wrong. */
const makeTree = `
import os, sys, socket
os.chdir(sys.argv[1])
def write(name, data=b'', at=None, size=None):
    with open(name, 'wb') as f:
        if size is not None: f.truncate(size)
        if at is not None: f.seek(at)
        f.write(data)
write('a', b'hello\\n'); os.link('a', 'hardlink'); os.chmod('a', 0o4755)
os.mkdir('dir'); os.mkdir('dir/sub'); os.symlink('a', 'symlink'); os.symlink('/abs/../x', 'dir/absolute')
os.link('symlink', 'linked-symlink')
os.mkfifo('fifo'); os.mknod('chr', 0o20600, os.makedev(5, 1)); os.mknod('blk', 0o60660, os.makedev(259, 70000))
os.link('chr', 'dir/chr2')
os.chmod('dir', 0o3775); os.chown('dir', 70000, 3000000000); os.lchown('symlink', 1234567, 7654321)
os.utime('dir/sub', ns=(0, 981173106123456789)); write('old'); os.utime('old', ns=(0, -315619199500000001))
write('empty'); write('block', b'b' * 4096); write('block1', b'b' * 4097); write('large', os.urandom(3000000))
write('sparse', b'middle', at=5000000000, size=10737418240)
write('holes', b'', size=1048576)
with open('segments', 'wb') as f:
    for i in range(300):
        f.seek(i * 16384); f.write(b'%d' % i)
os.mkdir('many')
for i in range(900): write('many/a-rather-long-name-that-fills-directory-blocks-%d-%s' % (i, 'x' * 100))
os.makedirs('/'.join(['d' * 200, 'e' * 200])); write('d' * 200 + '/' + 'e' * 200 + '/' + 'f' * 255, b'deep')
os.symlink('L' * 4000, 'long-link'); os.symlink('M' * 150, 'middle-link')
for n in (b'not-utf8-\\xff\\xfe', b'!before-dot', b'-dash', b' space', b'tab\\tnew\\nline', 'ümläut'.encode(), b'...'): write(n, b'x')
write('capable', b'#!/bin/true'); os.setxattr('capable', 'security.capability', bytes.fromhex('0100000200200000000000000000000000000000'))
os.setxattr('a', 'user.text', b'value'); os.setxattr('dir', 'trusted.binary', bytes(range(256)))
os.setxattr('dir', 'user.large', b'z' * 3000); os.setxattr('fifo', 'trusted.fifo', b''); os.setxattr('symlink', 'trusted.link', b'1', follow_symlinks=False)
os.setxattr('many', 'user.name', b'n' * 1000)
acl = bytes.fromhex('02000000' '01000700ffffffff' '02000700d2040000' '04000500ffffffff' '10000700ffffffff' '20000500ffffffff')
os.setxattr('dir/sub', 'system.posix_acl_access', acl); os.setxattr('dir/sub', 'system.posix_acl_default', acl)
os.utime('dir', ns=(0, 1)); os.utime('many', ns=(0, 999999999))
`;

// Other programs do much of the work, on a machine that may be busy.
setDefaultTimeout(120_000);

interface Comparison {
  readonly layer: Tree;
  readonly unpacked: Tree;
}

async function compare(tarArguments: readonly string[], chunkBytes = 65_536): Promise<Comparison> {
  await using temp = await tempDirectory();
  const source = join(temp.path, "source");
  await must("mkdir", source);
  await python(makeTree, source);
  const tar = join(temp.path, "layer.tar");
  await must("tar", ...tarArguments, "-cf", tar, "-C", source, ".");
  const layer = join(temp.path, "layer.erofs");
  await convert(tar, layer, chunkBytes);
  // The sparse files must not have become whole ones.
  expect(statSync(layer).blocks * 512).toBeLessThan(40_000_000);
  return { layer: await treeOfLayer(layer), unpacked: await treeOfTar(tar, join(temp.path, "unpacked")) };
}

test("a PAX archive with everything in it looks as GNU tar unpacks it", async () => {
  const { layer, unpacked } = await compare([
    "--format=pax",
    "-S",
    "--acls",
    "--xattrs",
    "--xattrs-include=*",
  ]);
  expect(Object.keys(layer).length).toBeGreaterThan(930);
  expect(layer["/capable"]?.xattrs["security.capability"]).toStartWith("01000002");
  expect(layer["/dir/sub"]?.mtime).toBe("981173106123456789");
  expect(layer).toEqual(unpacked);
});

test("ACLs given as text only are kept", async () => {
  const { layer, unpacked } = await compare(["--format=pax", "-S", "--acls"]);
  expect(layer["/dir/sub"]?.xattrs["system.posix_acl_access"]).toStartWith("02000000");
  expect(layer).toEqual(unpacked);
});

test("so does one of GNU's own format", async () => {
  const { layer, unpacked } = await compare(["--format=gnu", "-S"]);
  expect(layer).toEqual(unpacked);
});

for (const version of ["0.0", "0.1", "1.0"]) {
  test(`so do sparse files of PAX version ${version}, in chunks of odd sizes`, async () => {
    const { layer, unpacked } = await compare(["--format=pax", "-S", `--sparse-version=${version}`], 1013);
    expect(layer["/sparse"]?.size).toBe(10_737_418_240);
    expect(layer["/segments"]?.content).toBe(unpacked["/segments"]?.content ?? "");
    expect(layer).toEqual(unpacked);
  });
}

test("archives of Python's tarfile look the same, whatever the format", async () => {
  for (const format of ["USTAR_FORMAT", "GNU_FORMAT", "PAX_FORMAT"]) {
    await using temp = await tempDirectory();
    const tar = join(temp.path, "layer.tar");
    await python(
      `import tarfile, io, sys
with tarfile.open(sys.argv[1], 'w', format=tarfile.${format}) as t:
    def add(name, **kw):
        i = tarfile.TarInfo(name); data = kw.pop('data', b'')
        for k, v in kw.items(): setattr(i, k, v)
        i.size = len(data); t.addfile(i, io.BytesIO(data))
    add('.', type=tarfile.DIRTYPE, mode=0o755, mtime=5)
    add('usr', type=tarfile.DIRTYPE, mode=0o755, mtime=7)
    add('usr/' + 'p' * 90, type=tarfile.DIRTYPE, mode=0o711, mtime=7)
    add('usr/' + 'p' * 90 + '/' + 'n' * 95, data=b'prefix', mode=0o640, mtime=1000000000, uid=1, gid=2)
    add('usr/contiguous', type=tarfile.CONTTYPE, data=b'c' * 513, mtime=9)
    add('usr/hard', type=tarfile.LNKTYPE, linkname='usr/contiguous')
    add('usr', type=tarfile.DIRTYPE, mode=0o755, mtime=11)
`,
      tar,
    );
    const layer = join(temp.path, "layer.erofs");
    await convert(tar, layer, 512);
    const unpacked = await treeOfTar(tar, join(temp.path, "unpacked"));
    expect(await treeOfLayer(layer)).toEqual(unpacked);
  }
});

test("a later member replaces an earlier one, and a directory given twice keeps its children", async () => {
  await using temp = await tempDirectory();
  const tar = join(temp.path, "layer.tar");
  await python(
    `import tarfile, io, sys
with tarfile.open(sys.argv[1], 'w') as t:
    def add(name, type=tarfile.REGTYPE, data=b'', mode=0o644, link='', mtime=1):
        i = tarfile.TarInfo(name); i.type = type; i.size = len(data); i.mode = mode; i.linkname = link; i.mtime = mtime
        t.addfile(i, io.BytesIO(data))
    D, S, L = tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
    add('./', D, mode=0o755)
    add('d', D, mode=0o700); add('d/child', data=b'1'); add('d', D, mode=0o751, mtime=3)
    add('f', data=b'first'); add('g', L, link='f'); add('f', data=b'second'); add('d', D, mode=0o751, mtime=3)
    add('x', data=b'file'); add('x', D, mode=0o755); add('x/y', data=b'in'); add('x', D, mode=0o755)
    add('s', S, link='d'); add('s', D, mode=0o755)
    add('self', data=b'self'); add('self', L, link='self')
    add('t', data=b't'); add('t', S, link='x'); add('./', D, mode=0o755)
`,
    tar,
  );
  const layer = join(temp.path, "layer.erofs");
  await convert(tar, layer);
  const tree = await treeOfLayer(layer);
  expect(tree).toEqual(await treeOfTar(tar, join(temp.path, "unpacked")));
  expect(tree["/g"]?.links).toBe(1);
  expect(tree["/d/child"]).toBeDefined();
});

test("an image of the running system's own files reads back whole", async () => {
  await using temp = await tempDirectory();
  const tar = join(temp.path, "layer.tar");
  await must(
    "tar",
    "--format=pax",
    "-cf",
    tar,
    "-C",
    "/",
    "usr/share/zoneinfo",
    "usr/lib/python3.11",
    "etc/alternatives",
  );
  const layer = join(temp.path, "layer.erofs");
  await convert(tar, layer);
  const tree = await treeOfLayer(layer);
  const unpacked = await treeOfTar(tar, join(temp.path, "unpacked"));
  // Directories on the way are in no member: GNU tar makes them of now, Hull of the epoch.
  for (const implied of ["", "/usr", "/usr/share", "/usr/lib", "/etc"]) {
    expect(tree[implied]).toMatchObject({ type: "directory", mode: 0o755, mtime: "0" });
  }
  const members = (of: Tree) => Object.entries(of).filter(([name]) => name.split("/").length > 3);
  expect(members(tree)).toEqual(members(unpacked));
});

test("whiteouts and opaque directories hide what overlayfs finds below, and nothing else", async () => {
  await using temp = await tempDirectory();
  const member = (path: string): TarMember => ({
    path,
    type: "file",
    mode: 0o644,
    content: Buffer.from(path),
  });
  const lower = [
    member("gone"),
    member("kept"),
    member("d/old"),
    member("d/sub/old"),
    member("e/old"),
    member("f/old"),
  ];
  const upper = [
    member(".wh.gone"),
    member("d/.wh.old"),
    member("d/new"),
    member("e/.wh..wh..opq"),
    member("e/new"),
    member("e/.wh.nothing"),
    // Removed and made again in one layer.
    member(".wh.f"),
    member("f/new"),
  ];
  const [below, above] = [join(temp.path, "below.erofs"), join(temp.path, "above.erofs")];
  await convert(Buffer.concat([...writeTar(lower)]), below);
  await convert(Buffer.concat([...writeTar(upper)]), above);
  const script = [
    "mount -t tmpfs tmpfs /mnt && cd /mnt && mkdir below above merged",
    'mount -t erofs -o ro "$1" below && mount -t erofs -o ro "$2" above',
    "mount -t overlay -o lowerdir=above:below overlay merged && cd merged && find . | LC_ALL=C sort",
  ].join(" && ");
  const found = await must("unshare", "-m", "sh", "-c", script, "sh", below, above);
  expect(found.trim().split("\n")).toEqual([
    ".",
    "./d",
    "./d/new",
    "./d/sub",
    "./d/sub/old",
    "./e",
    "./e/new",
    "./f",
    "./f/new",
    "./kept",
  ]);
});

test("others have their turn while many members are converted", async () => {
  await using temp = await tempDirectory();
  await using out = new BufferedFile(join(temp.path, "layer"));
  const builder = new LayerBuilder("the layer", out);
  const members = Array.from({ length: 30_000 }, (_, i): TarMember => {
    return { path: `directory/${i}`, type: "symlink", mode: 0o777, target: "x" };
  });
  const chunk = Buffer.concat([...writeTar(members)].slice(0, -1));
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  await builder.push(chunk);
  clearInterval(timer);
  expect(turns).toBeGreaterThan(1);
});
