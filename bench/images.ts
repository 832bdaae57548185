/**
 * Images to measure pulls with, as OCI layouts: made once from Debian packages, kept in .cache. Their layers are
 * compressed by gzip -6, as docker and buildah push them, unless something else is asked for.
 */
import { createHash } from "node:crypto";
import { createReadStream, existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runProgram } from "../test/support/daemon.ts";
import { debianTar } from "../test/support/images.ts";

const cache = join(import.meta.dir, "../.cache");

export interface BenchImage {
  /** An OCI layout; the image's name in it is `image`. */
  readonly layout: string;
  readonly what: string;
  /** There are programs in it. */
  readonly runs: boolean;
}

const packages =
  "perl,git,gcc,g++,make,vim-runtime,python3-pip,nodejs,curl,ca-certificates,openjdk-17-jre-headless";

/** Debian with compilers, node and a JRE, in six layers. */
export async function largeImage(): Promise<BenchImage> {
  const layout = await once("bench-large", async (path) => {
    await layoutOf(path, await split(await debianTar(packages.split(",")), path, 6));
  });
  return { layout, what: "Debian with tools, 6 layers", runs: true };
}

/** The same files in `count` layers. */
export async function manyLayers(count: number): Promise<BenchImage> {
  const layout = await once(`bench-${count}-layers`, async (path) => {
    await layoutOf(path, await split(await debianTar(), path, count));
  });
  return { layout, what: `Debian with python3, ${count} layers`, runs: true };
}

/** One layer of 5,000 files of 0 to 8 KiB. */
export async function smallFiles(): Promise<BenchImage> {
  const layout = await once("bench-small-files", async (path) => {
    const tar = join(path, "small.tar");
    await run(["python3", "-c", makeSmallFiles, tar]);
    await layoutOf(path, [tar]);
  });
  return { layout, what: "5,000 small files, 1 layer", runs: false };
}

/** One layer of one file of 256 MiB, half of which compresses. */
export async function oneBigFile(): Promise<BenchImage> {
  const layout = await once("bench-big-file", async (path) => {
    const tar = join(path, "big.tar");
    await run(["python3", "-c", makeBigFile, tar]);
    await layoutOf(path, [tar]);
  });
  return { layout, what: "one file of 256 MiB, 1 layer", runs: false };
}

const makeSmallFiles = `
import io, random, sys, tarfile
random.seed(5000)
words = [bytes(random.choices(b'abcdefghijklmnopqrstuvwxyz', k=random.randint(2, 9))) for _ in range(3000)]
with tarfile.open(sys.argv[1], 'w') as t:
    for i in range(5000):
        data = b' '.join(random.choices(words, k=random.randint(0, 1300)))
        m = tarfile.TarInfo('data/%d/%d' % (i // 100, i)); m.size = len(data); m.mtime = 1700000000
        t.addfile(m, io.BytesIO(data))
`;

const makeBigFile = `
import io, random, sys, tarfile
random.seed(1)
block = b''.join(random.randbytes(2048) + b'text that compresses '[:16] * 128 for _ in range(1024))
with tarfile.open(sys.argv[1], 'w') as t:
    m = tarfile.TarInfo('big'); data = b''.join(block[i:] + block[:i] for i in range(64)); m.size = len(data); m.mtime = 1700000000
    t.addfile(m, io.BytesIO(data))
`;

/** Cuts a tar into \`count\` of about the same size; each has the directories on the way to its members, a hard link stays with its file. */
async function split(tar: string, directory: string, count: number): Promise<string[]> {
  await run(["python3", "-c", cut, tar, directory, String(count)]);
  return (await readdir(directory))
    .filter((name) => name.startsWith("part"))
    .sort()
    .map((name) => join(directory, name));
}

const cut = `
import os, sys, tarfile
source, out, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
with tarfile.open(source) as t:
    members = [m for m in t if not m.ischr() and not m.isblk()]
    total = sum(m.size + 1024 for m in members)
    parts = [tarfile.open('%s/part-%03d.tar' % (out, i), 'w', format=tarfile.PAX_FORMAT) for i in range(count)]
    given = [set() for _ in parts]
    directories, where, at = {}, {}, 0
    def way(part, name):
        if name in ('', '.') or name in given[part]: return
        way(part, os.path.dirname(name))
        given[part].add(name)
        if name in directories: parts[part].addfile(directories[name])
    for m in members:
        name = os.path.normpath(m.name)
        part = min(count - 1, at * count // total)
        if m.isdir():
            directories[name] = m
            if part == 0 or not any(name in g for g in given): way(part, name)
            at += 1024
            continue
        if m.islnk(): part = where[os.path.normpath(m.linkname)]
        where[name] = part
        way(part, os.path.dirname(name))
        parts[part].addfile(m, t.extractfile(m) if m.isreg() else None)
        at += m.size + 1024
    for p in parts: p.close()
`;

/** Writes an OCI layout (image-spec, image-layout.md) of layers given bottom first; the tars are removed. */
async function layoutOf(path: string, tars: readonly string[]): Promise<void> {
  const blobs = join(path, "blobs/sha256");
  await mkdir(blobs, { recursive: true });
  const add = async (bytes: string): Promise<{ digest: string; size: number }> => {
    const hex = createHash("sha256").update(bytes).digest("hex");
    await writeFile(join(blobs, hex), bytes);
    return { digest: `sha256:${hex}`, size: Buffer.byteLength(bytes) };
  };
  const diffIds: string[] = [];
  const layers: object[] = [];
  for (const tar of tars) {
    diffIds.push(`sha256:${await sumOf(tar)}`);
    await run(["gzip", "-6n", tar]);
    const hex = await sumOf(`${tar}.gz`);
    await rename(`${tar}.gz`, join(blobs, hex));
    const { size } = await stat(join(blobs, hex));
    const mediaType = "application/vnd.oci.image.layer.v1.tar+gzip";
    layers.push({ mediaType, digest: `sha256:${hex}`, size });
  }
  const config = await add(
    JSON.stringify({
      architecture: "amd64",
      os: "linux",
      config: { Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], Cmd: ["true"] },
      rootfs: { type: "layers", diff_ids: diffIds },
      history: diffIds.map(() => ({ created: "2024-01-01T00:00:00Z", created_by: "bench" })),
    }),
  );
  const manifest = await add(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      config: { mediaType: "application/vnd.oci.image.config.v1+json", ...config },
      layers,
    }),
  );
  const named = {
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    ...manifest,
    annotations: { "org.opencontainers.image.ref.name": "image" },
  };
  await writeFile(join(path, "index.json"), JSON.stringify({ schemaVersion: 2, manifests: [named] }));
  await writeFile(join(path, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
}

async function sumOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) hash.update(chunk);
  return hash.digest("hex");
}

/** Makes a folder of the cache unless it is there; a half-made one never gets the name. */
async function once(name: string, make: (path: string) => Promise<void>): Promise<string> {
  const path = join(cache, name);
  if (existsSync(path)) return path;
  await mkdir(cache, { recursive: true });
  const scratch = await mkdtemp(join(cache, "making-"));
  try {
    await make(scratch);
    await rename(scratch, path);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  return path;
}

async function run(command: readonly string[]): Promise<void> {
  const { code, stderr } = await runProgram(command, { timeoutMs: 600_000 });
  if (code !== 0) throw new Error(`${command[0]} ended with ${code}: ${stderr}`);
}
