/** Collection beside work that goes on. */
import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { Collector } from "./collector.ts";
import { ContentStore } from "./content/content-store.ts";
import type { Digest } from "./image-store.ts";
import { contentOf, importOptions, smallTar, streamOf, tarFile, testStore } from "./testing/store.ts";
import { tempDirectory } from "./testing/temp.ts";

const bytesOf = (text: string) => Buffer.from(text);

async function emptyStore() {
  const temp = await tempDirectory();
  const content = await ContentStore.open(temp.path);
  const needed = new Set<Digest>();
  const collector = new Collector(content, () => content.sweep(needed, new Set()));
  const isThere = (digest: Digest) => existsSync(content.blobPath(digest));
  return {
    temp,
    content,
    needed,
    collector,
    isThere,
    [Symbol.asyncDispose]: () => temp[Symbol.asyncDispose](),
  };
}

test("work that does not end keeps what it has in hand, and nothing else", async () => {
  await using store = await emptyStore();
  const { content, needed, collector, isThere } = store;
  const [image, garbage, read] = [
    await content.putBlob(bytesOf("image")),
    await content.putBlob(bytesOf("garbage")),
    await content.putBlob(bytesOf("read by the work")),
  ];
  needed.add(image);
  const work = collector.enter();
  const stored = await work.content.putBlob(bytesOf("stored by the work"));
  await work.content.blobSize(read);
  await collector.request();
  expect([image, garbage, read, stored].map(isThere)).toEqual([true, false, true, true]);
  // Another's end does not change that.
  await collector.run(async (other) => void (await other.putBlob(bytesOf("recorded by nobody"))));
  expect([read, stored].map(isThere)).toEqual([true, true]);
  needed.add(stored);
  await work[Symbol.asyncDispose]();
  expect([image, read, stored].map(isThere)).toEqual([true, false, true]);
  await collector.close();
});

test("what is held before it is stored is kept as well", async () => {
  await using store = await emptyStore();
  const { content, collector, isThere } = store;
  const digest: Digest = `sha256:${new Bun.CryptoHasher("sha256").update("shared").digest("hex")}`;
  await using second = collector.enter();
  second.content.hold(digest);
  await collector.run(async (first) => void (await first.putBlob(bytesOf("shared"))));
  await collector.request();
  expect(isThere(digest)).toBe(true);
  expect(content.isHeld(digest)).toBe(true);
});

test("a collection that fails fails nobody's work, and is made up for", async () => {
  await using store = await emptyStore();
  const { content } = store;
  let fails = true;
  let collections = 0;
  const collector = new Collector(content, () => {
    collections++;
    return {
      spared: false,
      removed: fails ? Promise.reject(new Error("the disk is full")) : Promise.resolve(),
    };
  });
  const failed = collector.run(() => Promise.reject(new Error("the work's own")));
  expect(await failed.catch(String)).toBe("Error: the work's own");
  expect(await collector.run(() => Promise.resolve("done"))).toBe("done");
  expect(await collector.request().catch(String)).toBe("Error: the disk is full");
  fails = false;
  await collector.run(() => Promise.resolve());
  await collector.run(() => Promise.resolve());
  expect(collections).toBe(4);
});

const unused = { force: false, inUse: () => undefined };
const tarOf = (content: string) => smallTar(tarFile("f", content));

test("an import whose client has stopped sending does not keep what was removed", async () => {
  await using own = await testStore();
  const { store, root } = own;
  const sent = smallTar(tarFile("f", "half of it"));
  const rest = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  const stalled = new ReadableStream<Uint8Array>({
    async pull(controller) {
      controller.enqueue(sent);
      asked.resolve();
      await rest.promise;
      controller.close();
    },
  });
  const importing = store.importTar(stalled, { ...importOptions, reference: "late:1" });
  await asked.promise;
  await store.importTar(streamOf(tarOf("gone")), { ...importOptions, reference: "gone:1" });
  await store.remove("gone:1", unused);
  const left = await contentOf(root);
  expect(left.filter((path) => !path.startsWith("content/temp/"))).toEqual([]);
  rest.resolve();
  expect((await importing).references).toEqual(["late:1"]);
});

test("an archive that is read slowly has all of an image that was removed meanwhile, and others are gone", async () => {
  await using own = await testStore();
  const { store, root } = own;
  for (const name of ["read", "other"])
    await store.importTar(streamOf(tarOf(name)), { ...importOptions, reference: `${name}:1` });
  const { id } = await store.resolve("read:1");
  const kept = (await contentOf(root)).length / 2;
  const archive = await store.save(["read:1"]);
  const chunks = [Buffer.from((await archive.next()).value ?? [])];
  await store.remove("read:1", unused);
  await store.remove("other:1", unused);
  expect((await contentOf(root)).length).toBe(kept);
  for await (const chunk of archive) chunks.push(Buffer.from(chunk));
  expect(await contentOf(root)).toEqual([]);
  const [loaded] = await store.load(streamOf(Buffer.concat(chunks)), () => undefined);
  expect(loaded?.id).toBe(id);
});
