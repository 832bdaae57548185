/** Many pulls at once, of images that have layers in common. */
import { expect, test } from "bun:test";
import { gzipSync } from "node:zlib";
import { digestOf } from "../content/content-store.ts";
import type { ProgressEvent, PullOptions } from "../image-store.ts";
import { mediaTypes } from "../manifest.ts";
import { failure, fakeRegistry } from "../testing/fake-registry.ts";
import { contentOf, smallTar, tarFile, testStore } from "../testing/store.ts";

const quiet: PullOptions = { platform: "", onProgress: () => undefined };
const count = 8;
const tars = Array.from({ length: count + 2 }, (_, index) => smallTar(tarFile(`file-${index}`, `${index}`)));
const layers = tars.map((tar) => gzipSync(tar));

const describe = (bytes: Uint8Array, mediaType: string) => ({
  mediaType,
  digest: digestOf(bytes),
  size: bytes.length,
});

/** Image n has the layers 0, n + 1 and n + 2. */
function imageOf(n: number): { manifest: Buffer; config: Buffer } {
  const own = [0, n + 1, n + 2];
  const diffIds = own.map((index) => digestOf(tars[index] ?? Buffer.alloc(0)));
  const rootfs = { type: "layers", diff_ids: diffIds };
  const config = Buffer.from(JSON.stringify({ os: "linux", architecture: "amd64", created: `${n}`, rootfs }));
  const descriptors = own.map((index) =>
    describe(layers[index] ?? Buffer.alloc(0), "application/vnd.oci.image.layer.v1.tar+gzip"),
  );
  const manifest = { schemaVersion: 2, config: describe(config, mediaTypes.ociConfig), layers: descriptors };
  return { config, manifest: Buffer.from(JSON.stringify(manifest)) };
}

test("pulls of images with common layers go on together, whoever of them leaves", async () => {
  const images = Array.from({ length: count }, (_, n) => imageOf(n));
  const all = [...layers, ...images.map(({ config }) => config)];
  const blobs = new Map<string, Uint8Array>(all.map((bytes) => [digestOf(bytes), bytes]));
  const leaving = new AbortController();
  const asked = new Map<string, number>();
  let leave = (): void => undefined;
  const left = new Promise<void>((resolve) => {
    leave = resolve;
  });
  let join = (): void => undefined;
  const joined = new Promise<void>((resolve) => {
    join = resolve;
  });
  const shared = digestOf(layers[0] ?? Buffer.alloc(0));
  await using registry = fakeRegistry(
    { manifest: Buffer.alloc(0), layer: Buffer.alloc(0), blobs },
    async (_, url) => {
      const n = /\/manifests\/v(\d)$/.exec(url.pathname)?.[1];
      if (n !== undefined) return new Response(Buffer.from(images[Number(n)]?.manifest ?? []));
      const digest = url.pathname.split("/").at(-1) ?? "";
      asked.set(digest, (asked.get(digest) ?? 0) + 1);
      // The layer that all have in common is on its way, and wanted by one who stays, when the first of them leave.
      if (digest === shared) {
        await joined;
        leaving.abort(new Error("left"));
        await left;
      }
      return undefined;
    },
  );
  await using own = await testStore();
  const impatient = [0, 1].map((n) =>
    failure(own.store.pull(`${registry.host}/x:v${n}`, { ...quiet, signal: leaving.signal })),
  );
  const onProgress = ({ id, status }: ProgressEvent): void => {
    if (status === "Pulling fs layer" && shared.includes(id ?? "-")) setImmediate(join);
  };
  const patient = images
    .slice(2)
    .map((_, n) => own.store.pull(`${registry.host}/x:v${n + 2}`, { ...quiet, onProgress }));
  expect((await Promise.all(impatient)).map(String)).toEqual(["Error: left", "Error: left"]);
  leave();
  const pulled = await Promise.all(patient);
  for (const [n, image] of pulled.entries())
    expect(image.layers.map(({ diffId }) => diffId)).toEqual(
      [0, n + 3, n + 4].map((index) => digestOf(tars[index] ?? Buffer.alloc(0))),
    );
  // What several wanted was fetched once, although the first who wanted it may have left.
  expect(asked.get(shared)).toBe(1);
  for (let index = 4; index < count + 1; index++)
    expect(asked.get(digestOf(layers[index] ?? Buffer.alloc(0)))).toBe(1);

  for (const { id } of pulled) await own.store.remove(id, { force: true, inUse: () => undefined });
  expect(await contentOf(own.root)).toEqual([]);
});

test("a layer that came for a pull that still goes on is not fetched again", async () => {
  const [first, second] = [imageOf(0), imageOf(1)];
  const blobs = new Map<string, Uint8Array>(
    [...layers, first.config, second.config].map((bytes) => [digestOf(bytes), bytes]),
  );
  const shared = digestOf(layers[2] ?? Buffer.alloc(0));
  const late = digestOf(layers[1] ?? Buffer.alloc(0));
  let release = (): void => undefined;
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  await using registry = fakeRegistry(
    { manifest: first.manifest, layer: Buffer.alloc(0), blobs },
    async (_, url) => {
      if (url.pathname.endsWith("/manifests/v1")) return new Response(second.manifest);
      if (url.pathname.endsWith(late)) await held;
      return undefined;
    },
  );
  await using own = await testStore();
  let come = (): void => undefined;
  const came = new Promise<void>((resolve) => {
    come = resolve;
  });
  const id = shared.slice("sha256:".length).slice(0, 12);
  const begun = own.store.pull(`${registry.host}/x:v0`, {
    ...quiet,
    onProgress: (event) => event.id === id && event.status === "Pull complete" && come(),
  });
  await came;
  await own.store.pull(`${registry.host}/x:v1`, quiet);
  release();
  await begun;
  expect(registry.requests.filter(({ url }) => url.endsWith(shared))).toHaveLength(1);
});

test("pulls at the same time that move one tag leave it with one of the images, whole", async () => {
  const images = [imageOf(0), imageOf(1)];
  const all = [...layers, ...images.map(({ config }) => config)];
  const blobs = new Map<string, Uint8Array>(all.map((bytes) => [digestOf(bytes), bytes]));
  let asked = 0;
  await using registry = fakeRegistry(
    { manifest: Buffer.alloc(0), layer: Buffer.alloc(0), blobs },
    (_, url) =>
      url.pathname.endsWith("/manifests/moves")
        ? new Response(Buffer.from(images[asked++ % 2]?.manifest ?? []))
        : undefined,
  );
  await using own = await testStore();
  const name = `${registry.host}/x:moves`;
  const ids = images.map(({ config }) => digestOf(config));
  for (let round = 0; round < 5; round++) {
    const pulled = await Promise.all(Array.from({ length: 4 }, () => own.store.pull(name, quiet)));
    expect(pulled.map(({ id }) => id).toSorted()).toEqual([...ids, ...ids].toSorted());
    const listed = await own.store.list();
    expect(listed.map(({ id }) => id).toSorted()).toEqual(ids.toSorted());
    expect(listed.flatMap(({ references }) => references)).toEqual([name]);
    // What the tag stands for is what the image that has it was pulled as.
    const tagged = await own.store.resolve(name);
    const { manifest } = images[ids.indexOf(tagged.id)] ?? imageOf(0);
    expect(tagged.digests).toEqual([`${registry.host}/x@${digestOf(manifest)}`]);
    const verify = { repair: false, authOf: () => undefined, onPart: () => undefined };
    expect(await own.store.verify({ ...verify, signal: new AbortController().signal })).toBe(true);
    for (const { id } of listed) await own.store.remove(id, { force: true, inUse: () => undefined });
    expect(await contentOf(own.root)).toEqual([]);
  }
});
