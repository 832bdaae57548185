/** What is made here is pushed compressed, and by the same digest every time. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { startRegistry } from "../../../test/support/registry.ts";
import { digestOf } from "../content/content-store.ts";
import type { PushOptions } from "../image-store.ts";
import { mediaTypes, parseManifest } from "../manifest.ts";
import { failure } from "../testing/fake-registry.ts";
import { makeLayout } from "../testing/layout.ts";
import { must } from "../testing/programs.ts";
import { contentOf, importOptions, smallTar, streamOf, tarFile, testStore } from "../testing/store.ts";
import { tempDirectory } from "../testing/temp.ts";

// Other programs do much of the work, on a machine that may be busy.
setDefaultTimeout(120_000);

const quiet: PushOptions = { platform: "", onProgress: () => undefined };
const tar = smallTar(tarFile("text", "the same words over and over, ".repeat(100_000)));

test("a layer that was made here is packed once, and each push names the same digests", async () => {
  await using registry = await startRegistry();
  const { host } = registry;
  const raw = async (name: string) =>
    parseManifest(
      await must("skopeo", "inspect", "--raw", "--tls-verify=false", `docker://${host}/${name}`),
      name,
    );
  await using own = await testStore();
  const image = await own.store.importTar(streamOf(tar), { ...importOptions, reference: `${host}/a:1` });
  await own.store.tag(image.id, `${host}/b:1`);
  const said: string[] = [];
  const onProgress = ({ status }: { status: string }) => void said.push(status);
  // Two at once pack it once.
  const [first, other] = await Promise.all([
    own.store.push(`${host}/a:1`, { ...quiet, onProgress }),
    own.store.push(`${host}/b:1`, quiet),
  ]);
  expect(said).toContain("Compressing");
  expect(other.digest).toBe(first.digest);
  const manifest = await raw("a:1");
  if (manifest.kind !== "manifest") throw new Error("it is a manifest");
  const [layer] = manifest.layers;
  expect(layer?.mediaType).toBe("application/vnd.oci.image.layer.v1.tar+gzip");
  expect(layer?.size).toBeLessThan(tar.length / 10);
  expect(manifest.config.mediaType).toBe(mediaTypes.ociConfig);
  const blob = join(own.root, "content/blobs/sha256", layer?.digest.slice("sha256:".length) ?? "");
  expect(digestOf(gunzipSync(await readFile(blob)))).toBe(image.layers[0]?.diffId ?? "sha256:");
  // The plain tar is kept no longer: layer, packed blob, config, manifest.
  expect(await contentOf(own.root)).toHaveLength(4);
  expect((await own.store.push(`${host}/a:1`, quiet)).digest).toBe(first.digest);
  const pushed = await own.store.resolve(image.id);
  expect(pushed.digests).toEqual([`${host}/a@${first.digest}`, `${host}/b@${first.digest}`]);
  const verified = await own.store.verify({
    repair: false,
    authOf: () => undefined,
    signal: new AbortController().signal,
    onPart: () => undefined,
  });
  expect(verified).toBe(true);

  // Somewhere else the same tar becomes the same blob.
  await using elsewhere = await testStore();
  await elsewhere.store.importTar(streamOf(tar), { ...importOptions, reference: `${host}/c:1` });
  await elsewhere.store.push(`${host}/c:1`, quiet);
  const again = await raw("c:1");
  expect(again.kind === "manifest" ? again.layers[0]?.digest : undefined).toBe(layer?.digest);
});

test("a layer that came uncompressed with its manifest is pushed as it came", async () => {
  await using registry = await startRegistry();
  const { host } = registry;
  await using temp = await tempDirectory();
  await using own = await testStore();
  const layout = await makeLayout(temp.path, "v1");
  const copy = ["skopeo", "copy", "--quiet", "--insecure-policy"];
  await must(...copy, "--dest-decompress", `oci:${layout.path}:v1`, `dir:${temp.path}/plain`);
  await must(...copy, "--dest-tls-verify=false", `dir:${temp.path}/plain`, `docker://${host}/plain:1`);
  const pulled = await own.store.pull(`${host}/plain:1`, quiet);
  await own.store.tag(pulled.id, `${host}/copy:1`);
  const { digest } = await own.store.push(`${host}/copy:1`, quiet);
  expect(pulled.digests).toEqual([`${host}/plain@${digest}`]);
});

test("a push that is given up while it packs, or not let in, leaves the image as it was", async () => {
  await using registry = await startRegistry();
  await using own = await testStore();
  const reference = `${registry.host}/a:1`;
  const image = await own.store.importTar(streamOf(tar), { ...importOptions, reference });
  const before = await contentOf(own.root);
  const stop = new AbortController();
  const onProgress = ({ status }: { status: string }) => {
    if (status === "Compressing") stop.abort(new Error("given up"));
  };
  const error = await failure(own.store.push(reference, { ...quiet, onProgress, signal: stop.signal }));
  expect(String(error)).toContain("given up");
  expect(await contentOf(own.root)).toEqual(before);
  expect((await own.store.resolve(image.id)).layers).toEqual(image.layers);

  await using closed = await startRegistry({ login: { username: "someone", password: "secret" } });
  await own.store.tag(image.id, `${closed.host}/a:1`);
  const said: string[] = [];
  const denied = await failure(
    own.store.push(`${closed.host}/a:1`, { ...quiet, onProgress: ({ status }) => said.push(status) }),
  );
  expect(denied).toMatchObject({ code: "pushDenied" });
  expect(said).not.toContain("Compressing");
  expect(await contentOf(own.root)).toEqual(before);
});
