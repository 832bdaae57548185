/** Many pulls at once, of images that have layers in common. */
import { expect, test } from "bun:test";
import { gzipSync } from "node:zlib";
import { digestOf } from "../content/content-store.ts";
import type { PullOptions } from "../image-store.ts";
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
  const shared = digestOf(layers[0] ?? Buffer.alloc(0));
  await using registry = fakeRegistry(
    { manifest: Buffer.alloc(0), layer: Buffer.alloc(0), blobs },
    async (_, url) => {
      const n = /\/manifests\/v(\d)$/.exec(url.pathname)?.[1];
      if (n !== undefined) return new Response(Buffer.from(images[Number(n)]?.manifest ?? []));
      const digest = url.pathname.split("/").at(-1) ?? "";
      asked.set(digest, (asked.get(digest) ?? 0) + 1);
      // The layer that all have in common is on its way when the first of them leave.
      if (digest === shared) {
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
  const patient = images.slice(2).map((_, n) => own.store.pull(`${registry.host}/x:v${n + 2}`, quiet));
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
