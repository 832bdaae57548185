/** What is damaged on the disk is found, told and mended; what the disk holds is what the records say. */
import { expect, test } from "bun:test";
import { readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Digest, ImageStore, VerifiedPart } from "./image-store.ts";
import { fakeImage, fakeRegistry } from "./testing/fake-registry.ts";
import { contentOf, importOptions, smallTar, streamOf, tarFile, testStore } from "./testing/store.ts";

async function verified(
  store: ImageStore,
  repair: boolean,
): Promise<{ readonly whole: boolean; readonly damaged: VerifiedPart[]; readonly seen: number }> {
  const damaged: VerifiedPart[] = [];
  let seen = 0;
  const whole = await store.verify({
    repair,
    authOf: () => undefined,
    signal: new AbortController().signal,
    onPart: (part) => {
      seen += 1;
      if (part.damage !== "") damaged.push(part);
    },
  });
  return { whole, damaged, seen };
}

const blobAt = (root: string, digest: string): string => join(root, "content/blobs/sha256", digest.slice(7));

test("a whole store is found whole", async () => {
  await using own = await testStore();
  for (const reference of ["a:1", "a:2"])
    await own.store.importTar(streamOf(smallTar(tarFile("f", reference))), { ...importOptions, reference });
  // A config, a manifest and a layer's blob each, and the two layers.
  expect(await verified(own.store, true)).toEqual({ whole: true, damaged: [], seen: 8 });
});

test("configs, manifests and layers that are damaged or gone are made again, and the image as before", async () => {
  await using own = await testStore();
  const image = await own.store.importTar(streamOf(smallTar(tarFile("f", "content"))), {
    ...importOptions,
    reference: "a:1",
  });
  const [layer] = image.layers;
  if (layer === undefined) throw new Error("the image has a layer");
  const before = new Map(
    (await contentOf(own.root)).map((name) => [name, readFileSync(join(own.root, name))]),
  );
  const manifest =
    [...before.keys()].find((name) => before.get(name)?.includes("schemaVersion") === true) ?? "";
  writeFileSync(blobAt(own.root, image.id), "{}");
  rmSync(join(own.root, manifest));
  writeFileSync(layer.path, Buffer.from(readFileSync(layer.path)).fill(0xff, 1024, 1100));
  const told = await verified(own.store, false);
  expect(told.whole).toBe(false);
  expect(told.damaged.map(({ kind, images, repaired }) => [kind, images, repaired])).toEqual([
    ["blob", ["a:1"], false],
    ["blob", ["a:1"], false],
    ["layer", ["a:1"], false],
  ]);
  const mended = await verified(own.store, true);
  expect([mended.whole, mended.damaged.every(({ repaired }) => repaired)]).toEqual([true, true]);
  const after = new Map(
    (await contentOf(own.root)).map((name) => [name, readFileSync(join(own.root, name))]),
  );
  expect(after).toEqual(before);
  expect((await verified(own.store, false)).damaged).toEqual([]);
});

test("a blob that no registry is known to have cannot be mended, and is said so with its image", async () => {
  await using own = await testStore();
  const image = await own.store.importTar(streamOf(smallTar(tarFile("f", "content"))), {
    ...importOptions,
    reference: "a:1",
  });
  const [layer] = image.layers;
  truncateSync(blobAt(own.root, layer?.diffId ?? ""), 100);
  const { whole, damaged } = await verified(own.store, true);
  expect(whole).toBe(false);
  expect(damaged[0]).toMatchObject({ kind: "blob", digest: layer?.diffId, images: ["a:1"], repaired: false });
  expect(damaged[0]?.note).toContain("load or build the image again");
  // The layer itself is still good, and stays.
  expect(damaged[1]).toMatchObject({ kind: "layer", repaired: false });
  expect(statSync(layer?.path ?? "").isFile()).toBe(true);
});

test("a pulled image's blobs and manifest are fetched again, and with them its layer is made again", async () => {
  await using own = await testStore();
  await using registry = fakeRegistry(fakeImage());
  const name = `${registry.host}/app:1`;
  const image = await own.store.pull(name, { platform: "", onProgress: () => undefined });
  const before = new Map(
    (await contentOf(own.root)).map((path) => [path, readFileSync(join(own.root, path))]),
  );
  for (const path of before.keys()) writeFileSync(join(own.root, path), "damaged");
  const mended = await verified(own.store, true);
  expect(mended.damaged.map(({ kind, repaired }) => [kind, repaired])).toEqual([
    ["blob", true],
    ["blob", true],
    ["blob", true],
    ["layer", true],
  ]);
  expect(mended.damaged.some(({ note }) => note === `fetched from ${image.digests[0] ?? ""}`)).toBe(true);
  const after = new Map(
    (await contentOf(own.root)).map((path) => [path, readFileSync(join(own.root, path))]),
  );
  expect(after).toEqual(before);
});

test("usage is what the files take, shared ones counted once", async () => {
  await using own = await testStore();
  const { store } = own;
  const tar = smallTar(tarFile("f", "x".repeat(50_000)));
  const one = await store.importTar(streamOf(tar), { ...importOptions, reference: "a:1", message: "1" });
  const two = await store.importTar(streamOf(tar), { ...importOptions, reference: "a:2", message: "2" });
  const onDisk = (): number => {
    let sum = 0;
    for (const directory of ["content/blobs/sha256", "layers"])
      for (const name of readdirSync(join(own.root, directory)))
        sum += statSync(join(own.root, directory, name)).blocks * 512;
    return sum;
  };
  const usage = await store.usage();
  expect(usage.totalBytes).toBe(onDisk());
  const [first, second] = [usage.images.get(one.id), usage.images.get(two.id)];
  expect(first?.sharedBytes).toBe(second?.sharedBytes ?? -1);
  expect(first?.sharedBytes).toBeGreaterThan(50_000);
  const unique = (first?.bytes ?? 0) + (second?.bytes ?? 0) - 2 * (first?.sharedBytes ?? 0);
  expect(unique + (first?.sharedBytes ?? 0)).toBe(usage.totalBytes);
  await store.remove("a:2", { force: false, inUse: () => undefined });
  expect((await store.usage()).totalBytes).toBe(onDisk());
});

/** The same numbers for the same seed. */
function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state * 48271) % 0x7fffffff;
    return state % below;
  };
}

test("whatever is done at once, the disk has what images need and nothing else", async () => {
  await using own = await testStore();
  const { store } = own;
  const random = randomOf(7);
  const names = ["a:1", "a:2", "b:1", "b:2"];
  const leases: Disposable[] = [];
  const step = async (): Promise<void> => {
    const name = names[random(names.length)] ?? "";
    const other = names[random(names.length)] ?? "";
    const tar = smallTar(tarFile("f", String(random(4)).repeat(3000)));
    switch (random(7)) {
      case 0:
      case 1:
        await store.importTar(streamOf(tar), {
          ...importOptions,
          reference: name,
          message: String(random(3)),
        });
        return;
      case 2:
        return await store.tag(name, other);
      case 3:
        await store.remove(name, { force: random(2) === 0, inUse: () => undefined });
        return;
      case 4:
        leases.push(store.lease((await store.resolve(name)).id));
        return;
      case 5:
        leases.pop()?.[Symbol.dispose]();
        return;
      default: {
        const archive = await store.save([name]);
        const chunks: Uint8Array[] = [];
        for await (const chunk of archive) chunks.push(Buffer.from(chunk));
        await store.load(streamOf(Buffer.concat(chunks)), () => undefined);
      }
    }
  };
  for (let round = 0; round < 25; round++) {
    // Removing what is not there, and the like, is part of the game; damage is not.
    const results = await Promise.allSettled(Array.from({ length: 6 }, step));
    for (const result of results)
      if (result.status === "rejected") expect(["noSuchImage", "conflict"]).toContain(result.reason.code);
    for (const image of await store.list())
      for (const layer of image.layers) expect(statSync(layer.path).isFile()).toBe(true);
  }
  expect((await verified(store, false)).damaged).toEqual([]);
  for (const lease of leases) lease[Symbol.dispose]();
  const ids: Digest[] = (await store.list()).map((image) => image.id);
  for (const id of ids) await store.remove(id, { force: true, inUse: () => undefined });
  // The last release of a lease collects in the background: a pass through the gate waits for it.
  await (
    await store.save([
      (await store.importTar(streamOf(smallTar()), { ...importOptions, reference: "last:1" })).id,
    ])
  ).return();
  await store.remove("last:1", { force: false, inUse: () => undefined });
  expect(await contentOf(own.root)).toEqual([]);
}, 60_000);
