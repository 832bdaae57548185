/** Programs that tests hold Hull's layers against. */
import { run } from "../../host/spawn.ts";

const path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const outputLimit = 512 * 1024 * 1024;

/** Runs a program that must succeed; returns what it printed. */
export async function must(...command: string[]): Promise<string> {
  const result = await run(command, { env: { PATH: path, LC_ALL: "C" }, outputLimit });
  if (result.code !== 0)
    throw new Error(
      `${command.slice(0, 6).join(" ")} ended with ${result.code}: ${result.stderr.slice(0, 2000)}`,
    );
  return result.stdout;
}

export async function python(program: string, ...args: string[]): Promise<string> {
  return must("python3", "-c", program, ...args);
}

/** Everything that a tar carries of a tree, read through the kernel. Names are latin1 strings. */
export type Tree = Readonly<Record<string, TreeNode>>;

export interface TreeNode {
  readonly type: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Nanoseconds since the epoch, as text. */
  readonly mtime: string;
  readonly links: number;
  readonly size: number;
  readonly device: string;
  readonly target: string;
  /** SHA-256 of the content. */
  readonly content: string;
  /** Hexadecimal. */
  readonly xattrs: Readonly<Record<string, string>>;
  /** The first name of the same inode. */
  readonly same: string;
}

const describe = `
import os, sys, stat, json, hashlib
root = os.fsencode(sys.argv[1])
types = {stat.S_IFREG:'file', stat.S_IFDIR:'directory', stat.S_IFLNK:'symlink', stat.S_IFCHR:'character',
         stat.S_IFBLK:'block', stat.S_IFIFO:'fifo', stat.S_IFSOCK:'socket'}
seen = {}
contents = {}
out = {}
def content(path, size):
    if size > 200 * 1024 * 1024:
        # Of a huge sparse file: the places where there is data.
        h = hashlib.sha256()
        with open(path, 'rb') as f:
            for place in (0, size // 2, size - 4096, 5000000000):
                f.seek(max(0, place)); h.update(f.read(4096))
        return 'sampled:' + h.hexdigest()
    h = hashlib.sha256()
    with open(path, 'rb') as f:
        while True:
            data = f.read(1 << 20)
            if not data: break
            h.update(data)
    return h.hexdigest()
def visit(path, name):
    s = os.lstat(path)
    t = stat.S_IFMT(s.st_mode)
    key = (s.st_dev, s.st_ino)
    x = {n: os.getxattr(path, n, follow_symlinks=False).hex() for n in os.listxattr(path, follow_symlinks=False)}
    if t == stat.S_IFREG and key not in contents: contents[key] = content(path, s.st_size)
    out[name.decode('latin1')] = dict(
        type=types[t], mode=stat.S_IMODE(s.st_mode), uid=s.st_uid, gid=s.st_gid, mtime=str(s.st_mtime_ns),
        links=s.st_nlink, size=0 if t == stat.S_IFDIR else s.st_size,
        device='%d:%d' % (os.major(s.st_rdev), os.minor(s.st_rdev)) if t in (stat.S_IFCHR, stat.S_IFBLK) else '',
        target=os.readlink(path).decode('latin1') if t == stat.S_IFLNK else '',
        content=contents[key] if t == stat.S_IFREG else '',
        xattrs=x, same=seen.setdefault(key, name.decode('latin1')))
    if t == stat.S_IFDIR:
        for child in sorted(os.listdir(path)):
            # Looked up by name too: the directory's order must be what the kernel searches by.
            visit(path + b'/' + child, name + b'/' + child)
visit(root, b'')
json.dump(out, sys.stdout)
`;

export async function treeOf(directory: string): Promise<Tree> {
  return JSON.parse(await python(describe, directory));
}

/** The tree of a layer, as the kernel shows it; mounted in a namespace that is gone afterwards. */
export async function treeOfLayer(layer: string): Promise<Tree> {
  await must("fsck.erofs", layer);
  const script = 'mount -t erofs -o ro "$1" /mnt && exec python3 -c "$2" /mnt';
  return JSON.parse(await must("unshare", "-m", "sh", "-c", script, "sh", layer, describe));
}

/** The trees of many layers, as `treeOfLayer` gives one, mounted one after the other by one process. */
export async function treesOfLayers(layers: readonly string[]): Promise<Tree[]> {
  const script = `
for layer in "$@"; do
  fsck.erofs "$layer" >/dev/null || exit 1
  mount -t erofs -o ro "$layer" /mnt && python3 -c "$program" /mnt && echo && umount /mnt || exit 1
done`;
  const command = ["env", `program=${describe}`, "unshare", "-m", "sh", "-c", script, "sh", ...layers];
  const lines = (await must(...command)).split("\n");
  return lines.filter((line) => line !== "").map((line): Tree => JSON.parse(line));
}

/** What GNU tar unpacks. */
export async function treeOfTar(tar: string, directory: string): Promise<Tree> {
  await must("mkdir", "-p", directory);
  const how = ["--xattrs", "--xattrs-include=*", "--acls", "-p", "--numeric-owner", "--same-owner"];
  await must("tar", ...how, "-xf", tar, "-C", directory);
  return treeOf(directory);
}
