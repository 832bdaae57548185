/** The store's promises: names, removal, leases, nothing half-made, nothing left behind. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { crc32, gzipSync, zstdCompressSync } from "node:zlib";
import { isHullError } from "../contract/errors.ts";
import { mount, unmount } from "../host/mount.ts";
import type { Digest } from "./image-store.ts";
import { openImageStore } from "./store.ts";
import { must, treeOfLayer } from "./testing/programs.ts";
import { contentOf, importOptions, smallTar, streamOf, tarFile, testStore } from "./testing/store.ts";
import { tempDirectory } from "./testing/temp.ts";

// Other programs do much of the work, on a machine that may be busy.
setDefaultTimeout(120_000);

const unused = { force: false, inUse: () => undefined };
const hello = smallTar(tarFile("etc/hello", "hello\n"));

async function failure(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => undefined,
    (error: unknown) => error,
  );
}

test("hull/tiny is made when it is asked for, and is the same every time", async () => {
  await using one = await testStore();
  await using other = await testStore();
  expect(await one.store.list()).toEqual([]);
  const [first, again] = await Promise.all([
    one.store.resolve("hull/tiny"),
    one.store.resolve("hull/tiny:latest"),
  ]);
  expect(first.references).toEqual(["hull/tiny:latest"]);
  expect(again.id).toBe(first.id);
  expect((await other.store.resolve("docker.io/hull/tiny")).id).toBe(first.id);
  expect(first.config.cmd).toEqual(["sh"]);
  const layer = first.layers[0]?.path ?? "";
  const tree = await treeOfLayer(layer);
  expect(tree["/bin/sh"]?.same).toBe(tree["/bin/busybox"]?.same ?? "");
  expect(tree["/tmp"]).toMatchObject({ type: "directory", mode: 0o1777 });
  expect(tree["/bin/busybox"]?.links).toBeGreaterThan(200);
  const ran = await must(
    "unshare",
    "-m",
    "sh",
    "-c",
    'mount -t erofs -o ro "$1" /mnt && chroot /mnt sh -c "echo works"',
    "sh",
    layer,
  );
  expect(ran).toBe("works\n");
});

test("an import is there under its name, its id and the start of its id, also after a restart", async () => {
  await using temp = await tempDirectory();
  const store = await openImageStore(temp.path);
  const image = await store.importTar(streamOf(hello), {
    ...importOptions,
    reference: "example.com:5000/team/hello:v1",
    message: "by hand",
    changes: ['CMD ["cat"]', "ENV A=b"],
  });
  expect(image.references).toEqual(["example.com:5000/team/hello:v1"]);
  expect(image.config).toMatchObject({ cmd: ["cat"], env: ["A=b"], os: "linux" });
  expect(image.config.history).toMatchObject([{ comment: "by hand", emptyLayer: false }]);
  await store.close();
  const again = await openImageStore(temp.path);
  for (const name of [
    "example.com:5000/team/hello:v1",
    image.id,
    image.id.slice(7),
    image.id.slice(7, 19),
    image.id.slice(0, 20),
  ])
    expect(await again.resolve(name)).toEqual(image);
  expect((await treeOfLayer(image.layers[0]?.path ?? ""))["/etc/hello"]?.size).toBe(6);
  await again.close();
});

test("gzip, zstd and xz give the same layer as the plain tar", async () => {
  await using own = await testStore();
  await using temp = await tempDirectory();
  await writeFile(join(temp.path, "t.tar"), hello);
  await must("xz", "-k", join(temp.path, "t.tar"));
  const xz = await Bun.file(join(temp.path, "t.tar.xz")).bytes();
  const plain = await own.store.importTar(streamOf(hello), importOptions);
  // A frame of zstd that decompressors pass over; tools keep their own data in such.
  const skippable = Buffer.from("502a4d1804000000736b6970", "hex");
  for (const packed of [
    gzipSync(hello),
    zstdCompressSync(hello),
    xz,
    Buffer.concat([gzipSync(hello.subarray(0, 700)), gzipSync(hello.subarray(700))]),
    Buffer.concat([
      skippable,
      zstdCompressSync(hello.subarray(0, 700)),
      skippable,
      zstdCompressSync(hello.subarray(700)),
    ]),
  ]) {
    const image = await own.store.importTar(streamOf(packed, 3), importOptions);
    expect(image.layers).toEqual(plain.layers);
  }
  const bzip2 = await failure(own.store.importTar(streamOf(Buffer.from("BZh91AY&SY")), importOptions));
  expect(isHullError(bzip2, "unsupported")).toBe(true);
});

test("xz that asks for gigabytes of memory is refused", async () => {
  await using own = await testStore();
  await using temp = await tempDirectory();
  await writeFile(join(temp.path, "t.tar"), hello);
  await must("xz", join(temp.path, "t.tar"));
  const xz = Buffer.from(await Bun.file(join(temp.path, "t.tar.xz")).bytes());
  // The block's header: its size in words, flags, the filter LZMA2 with one byte for the dictionary's size.
  const headerEnd = 12 + ((xz[12] ?? 0) + 1) * 4;
  expect(xz.subarray(13, 16).toString("hex")).toBe("002101");
  xz[16] = 40;
  xz.writeUInt32LE(crc32(xz.subarray(12, headerEnd - 4)), headerEnd - 4);
  const error = await failure(own.store.importTar(streamOf(xz), importOptions));
  expect(isHullError(error, "corrupt")).toBe(true);
  expect(String(error)).toContain("emory");
  expect(await contentOf(own.root)).toEqual([]);
});

test("what is not there, not clear or not a name is said so", async () => {
  await using own = await testStore();
  expect(isHullError(await failure(own.store.resolve("nothing")), "noSuchImage")).toBe(true);
  expect(isHullError(await failure(own.store.resolve("No Name")), "invalidReference")).toBe(true);
  expect(isHullError(await failure(own.store.resolve(`sha256:${"0".repeat(64)}`)), "noSuchImage")).toBe(true);
  for (let i = 0; i < 40; i++)
    await own.store.importTar(streamOf(hello), { ...importOptions, message: `${i}` });
  const ids = (await own.store.list()).map((image) => image.id.slice(7));
  const twice = ids
    .map((id) => id.slice(0, 1))
    .find((start) => ids.filter((id) => id.startsWith(start)).length > 1);
  expect(isHullError(await failure(own.store.resolve(twice ?? "")), "ambiguousName")).toBe(true);
});

test("a tag moves, and the image that had it stays without a name", async () => {
  await using own = await testStore();
  const first = await own.store.importTar(streamOf(hello), {
    ...importOptions,
    reference: "x",
    message: "1",
  });
  const second = await own.store.importTar(streamOf(hello), {
    ...importOptions,
    reference: "x",
    message: "2",
  });
  expect((await own.store.resolve(first.id)).references).toEqual([]);
  expect((await own.store.resolve("x")).id).toBe(second.id);
  await own.store.tag(first.id, "y:1");
  expect((await own.store.resolve("y:1")).id).toBe(first.id);
  expect(isHullError(await failure(own.store.tag("x", `z@${first.id}`)), "invalidReference")).toBe(true);
  expect(isHullError(await failure(own.store.tag("none", "z")), "noSuchImage")).toBe(true);
});

test("removing follows Docker: names first, the image with its last name", async () => {
  await using own = await testStore();
  const { store } = own;
  const image = await store.importTar(streamOf(hello), { ...importOptions, reference: "a" });
  await store.tag("a", "b");
  expect(await store.remove("a", unused)).toEqual([{ untagged: "a:latest" }]);
  await store.tag("b", "c");
  expect(isHullError(await failure(store.remove(image.id, unused)), "conflict")).toBe(true);
  const using = { force: false, inUse: (id: Digest) => (id === image.id ? "workload1" : undefined) };
  expect(await store.remove("c", using)).toEqual([{ untagged: "c:latest" }]);
  expect(isHullError(await failure(store.remove("b", using)), "imageInUse")).toBe(true);
  expect((await store.resolve("b")).id).toBe(image.id);
  expect(await store.remove(image.id.slice(7, 15), { ...using, force: true })).toEqual([
    { untagged: "b:latest" },
    { deleted: image.id },
  ]);
  expect(await store.list()).toEqual([]);
  expect(await contentOf(own.root)).toEqual([]);
});

test("layers that another image has stay", async () => {
  await using own = await testStore();
  const first = await own.store.importTar(streamOf(hello), { ...importOptions, message: "1" });
  const second = await own.store.importTar(streamOf(hello), { ...importOptions, message: "2" });
  await own.store.remove(first.id, unused);
  expect(existsSync(second.layers[0]?.path ?? "")).toBe(true);
});

test("a leased image keeps its layers until it is released, also over a restart", async () => {
  await using temp = await tempDirectory();
  const store = await openImageStore(temp.path);
  const image = await store.importTar(streamOf(hello), { ...importOptions, reference: "x" });
  const lease = store.lease(image.id);
  const path = image.layers[0]?.path ?? "";
  await store.remove("x", { ...unused, force: true });
  expect(await store.list()).toEqual([]);
  expect(isHullError(await failure(store.resolve(image.id)), "noSuchImage")).toBe(true);
  expect(existsSync(path)).toBe(true);
  await store.close();
  lease[Symbol.dispose]();

  const again = await openImageStore(temp.path);
  expect(existsSync(path)).toBe(true);
  const leases = [again.lease(image.id), again.lease(image.id)];
  leases[0]?.[Symbol.dispose]();
  leases[0]?.[Symbol.dispose]();
  expect(existsSync(path)).toBe(true);
  leases[1]?.[Symbol.dispose]();
  await again.close();
  expect(existsSync(path)).toBe(false);
});

test("what a crash left half-made is gone at the next start", async () => {
  await using temp = await tempDirectory();
  await mkdir(join(temp.path, "content/temp"), { recursive: true });
  await mkdir(join(temp.path, "content/blobs/sha256"), { recursive: true });
  await writeFile(join(temp.path, "content/temp/half"), "x");
  await writeFile(join(temp.path, "content/blobs/sha256", "0".repeat(64)), "belongs to nothing");
  const store = await openImageStore(temp.path);
  expect(await contentOf(temp.path)).toEqual([]);
  await store.close();
});

test("a broken archive is corrupt at whatever byte, and leaves nothing", async () => {
  await using own = await testStore();
  const content = Array.from({ length: 300 }, (_, i) => tarFile(`file-${i}`, `${i}`.repeat(i)));
  const packed = { gzip: gzipSync(smallTar(...content)), zstd: zstdCompressSync(smallTar(...content)) };
  for (const [kind, bytes] of Object.entries(packed)) {
    for (let at = 20; at < bytes.length; at += Math.floor(bytes.length / 60)) {
      const flipped = Buffer.from(bytes);
      flipped[at] = (flipped[at] ?? 0) ^ 0x55;
      for (const [what, broken] of [
        ["flipped", flipped],
        ["cut off", bytes.subarray(0, at)],
      ] as const) {
        const error = await failure(own.store.importTar(streamOf(broken), importOptions));
        // zstd without a checksum may let a wrong byte of a file's content through.
        if (error === undefined && kind === "zstd" && what === "flipped") {
          for (const image of await own.store.list()) await own.store.remove(image.id, unused);
        } else if (!isHullError(error, "corrupt"))
          throw new Error(`${kind} ${what} at ${at}: not refused as corrupt`, { cause: error });
        expect(await contentOf(own.root)).toEqual([]);
      }
    }
  }
  const empty = await failure(own.store.importTar(streamOf(Buffer.alloc(0)), importOptions));
  expect(isHullError(empty, "corrupt")).toBe(true);
});

test("a source that fails is reported as it failed, and leaves nothing", async () => {
  await using own = await testStore();
  const failing = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(gzipSync(hello).subarray(0, 60));
    },
    pull(controller) {
      controller.error(new Error("the client went away"));
    },
  });
  expect(await failure(own.store.importTar(failing, importOptions))).toMatchObject({
    message: "the client went away",
  });
  expect(await contentOf(own.root)).toEqual([]);
  expect(await own.store.list()).toEqual([]);
});

test("a full disk is said so, and what was written is taken back", async () => {
  await using temp = await tempDirectory();
  mount({ source: "tmpfs", target: temp.path, type: "tmpfs", data: "size=3m" });
  try {
    const store = await openImageStore(temp.path);
    await store.importTar(streamOf(hello), importOptions);
    const before = await contentOf(temp.path);
    const large = smallTar({
      path: "f",
      type: "file",
      mode: 0o644,
      content: crypto.getRandomValues(Buffer.alloc(60_000)),
    });
    const many = Buffer.concat(Array.from({ length: 80 }, () => large.subarray(0, -1024)));
    const error = await failure(store.importTar(streamOf(many), importOptions));
    expect(isHullError(error, "noSpace")).toBe(true);
    expect(await contentOf(temp.path)).toEqual(before);
    await store.importTar(streamOf(hello), { ...importOptions, message: "there is space again" });
    await store.close();
  } finally {
    unmount(temp.path);
  }
});

test("a wrong request is found before anything is read", async () => {
  await using own = await testStore();
  for (const wrong of [{ reference: "A B" }, { changes: ["RUN x"] }, { platform: "a/b/c/d" }]) {
    const error = await failure(own.store.importTar(streamOf(hello), { ...importOptions, ...wrong }));
    expect(error).toMatchObject({ name: "HullError", status: 400 });
  }
  expect(await contentOf(own.root)).toEqual([]);
});
