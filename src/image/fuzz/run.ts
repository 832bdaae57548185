/** Runs cases and looks at what they leave: layers that the kernel mounts and reads, memory, time. */
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { messageOf } from "../../contract/errors.ts";
import { must } from "../testing/programs.ts";
import { testStore } from "../testing/store.ts";
import { tempDirectory } from "../testing/temp.ts";
import { randomOf } from "./random.ts";
import { targets } from "./targets.ts";

/** Layers that one process mounts, one after the other. */
const batch = 200;
/** A case is some kilobytes; on a busy machine it may wait. */
const maxMilliseconds = 10_000;
/** One case in so many is an archive: it goes through a whole store. */
const archiveEvery = 20;

export interface FuzzResult {
  readonly cases: Readonly<Record<string, { taken: number; refused: number }>>;
  readonly mounted: number;
  readonly slowest: { readonly index: number; readonly milliseconds: number };
}

/** Throws at the first finding, with the number of its case. Cases `from` up to and without `to` of a seed are always the same. */
export async function fuzz(
  seed: number,
  from: number,
  to: number,
  onBatch?: (done: number) => void,
): Promise<FuzzResult> {
  await using temp = await tempDirectory();
  await using own = await testStore();
  const layers = join(temp.path, "layers");
  await mkdir(layers);
  const cases: Record<string, { taken: number; refused: number }> = {};
  let slowest = { index: -1, milliseconds: 0 };
  let mounted = 0;
  for (let index = from; index < to; index++) {
    const random = randomOf(seed, index);
    const name = nameOf(index);
    const target = targets[name];
    if (target === undefined) throw new Error(`there is no target ${name}`);
    const started = performance.now();
    try {
      const outcome = await target(random, { layer: join(layers, String(index)), own });
      cases[name] ??= { taken: 0, refused: 0 };
      cases[name][outcome]++;
    } catch (error) {
      throw new Error(`case ${index} of seed ${seed} (${name}): ${messageOf(error)}`, { cause: error });
    }
    const milliseconds = performance.now() - started;
    if (milliseconds > slowest.milliseconds) slowest = { index, milliseconds };
    if (milliseconds > maxMilliseconds)
      throw new Error(`case ${index} of seed ${seed} (${name}) took ${milliseconds} ms`);
    if ((index + 1 - from) % batch === 0 || index + 1 === to) {
      mounted += await mountAll(layers, seed);
      onBatch?.(index + 1 - from);
    }
  }
  return { cases, mounted, slowest };
}

function nameOf(index: number): string {
  if (index % archiveEvery === 0) return "archive";
  return ["tar", "tar", "compressed tar", "tar", "manifest", "config"][index % 6] ?? "tar";
}

/** Mounts every layer and reads all names, attributes, links, and the ends of all files. */
const look = `
import ctypes, os, stat, sys
libc = ctypes.CDLL(None, use_errno=True)
where = sys.argv[1].encode()
def visit(fd):
    for name in os.listdir(fd):
        s = os.stat(name, dir_fd=fd, follow_symlinks=False)
        path = b'/proc/self/fd/%d/%s' % (fd, os.fsencode(name))
        for x in os.listxattr(path, follow_symlinks=False): os.getxattr(path, x, follow_symlinks=False)
        if stat.S_ISLNK(s.st_mode): os.readlink(name, dir_fd=fd)
        elif stat.S_ISDIR(s.st_mode):
            child = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
            visit(child); os.close(child)
        elif stat.S_ISREG(s.st_mode):
            f = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=fd)
            assert len(os.pread(f, 4096, 0)) == min(4096, s.st_size)
            assert len(os.pread(f, 4096, max(0, s.st_size - 4096))) == min(4096, s.st_size)
            os.close(f)
for layer in sorted(os.listdir(where), key=int):
    try:
        if libc.mount(where + b'/' + layer, b'/mnt', b'erofs', 1, None) != 0: raise OSError(ctypes.get_errno(), 'mount')
        root = os.open('/mnt', os.O_RDONLY | os.O_DIRECTORY)
        visit(root); os.close(root)
    except Exception as e:
        import traceback; sys.exit('case %s: %s' % (layer.decode(), traceback.format_exc()))
    finally: libc.umount2(b'/mnt', 2)
`;

async function mountAll(directory: string, seed: number): Promise<number> {
  const names = await readdir(directory);
  await must("unshare", "-m", "python3", "-c", look, directory).catch((error: unknown) => {
    throw new Error(`the kernel finds something in a layer of seed ${seed}: ${messageOf(error)}`, {
      cause: error,
    });
  });
  for (const name of names) await rm(join(directory, name));
  return names.length;
}
