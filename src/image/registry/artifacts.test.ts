/** What registries keep besides container images: stored and copied untouched. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { startRegistry, type TestRegistry } from "../../../test/support/registry.ts";
import { digestOf } from "../content/content-store.ts";
import type { ProgressEvent, PullOptions } from "../image-store.ts";
import { mediaTypes } from "../manifest.ts";
import { failure, fakeImage, fakeRegistry } from "../testing/fake-registry.ts";
import { contentOf, testStore } from "../testing/store.ts";

setDefaultTimeout(60_000);

const quiet: PullOptions = { platform: "", onProgress: () => undefined };
let registry: TestRegistry;

beforeAll(async () => {
  registry = await startRegistry();
});
afterAll(() => registry[Symbol.asyncDispose]());

const describe = (bytes: Uint8Array, mediaType: string) => ({
  mediaType,
  digest: digestOf(bytes),
  size: bytes.length,
});

/** Puts blobs and a manifest into the real registry, as some other tool would. */
async function put(
  name: string,
  blobs: readonly Uint8Array[],
  manifest: Buffer,
  type: string,
): Promise<void> {
  const base = `http://${registry.host}/v2/${name}`;
  for (const blob of blobs) {
    const begun = await fetch(`${base}/blobs/uploads/`, { method: "POST" });
    const place = `${begun.headers.get("location")}&digest=${digestOf(blob)}`;
    expect((await fetch(place, { method: "PUT", body: Buffer.from(blob) })).status).toBe(201);
  }
  const headers = { "content-type": type };
  expect(
    (await fetch(`${base}/manifests/1`, { method: "PUT", headers, body: Buffer.from(manifest) })).status,
  ).toBe(201);
}

const raw = async (name: string): Promise<string> =>
  (
    await fetch(`http://${registry.host}/v2/${name}/manifests/1`, {
      headers: { accept: mediaTypes.ociManifest },
    })
  ).text();

const chart = Buffer.from("a chart, packed somehow");
const config = Buffer.from('{"name":"chart"}');
const artifact = Buffer.from(
  JSON.stringify({
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: describe(config, "application/vnd.cncf.helm.config.v1+json"),
    layers: [describe(chart, "application/vnd.cncf.helm.chart.content.v1.tar+gzip")],
    annotations: { "org.opencontainers.image.created": "2024-01-02T03:04:05Z" },
  }),
);

test("an artifact is pulled, listed, pushed untouched and removed without a trace", async () => {
  await put("charts/one", [chart, config], artifact, mediaTypes.ociManifest);
  await using own = await testStore();
  const name = `${registry.host}/charts/one:1`;
  const pulled = await own.store.pull(name, quiet);
  expect(pulled).toMatchObject({
    id: digestOf(artifact),
    references: [name],
    artifactType: "application/vnd.cncf.helm.config.v1+json",
    layers: [],
    sizeBytes: artifact.length + chart.length + config.length,
    config: { created: "2024-01-02T03:04:05Z" },
  });
  expect((await own.store.list()).map(({ id }) => id)).toEqual([pulled.id]);
  await own.store.tag(name, `${registry.host}/charts/two:1`);
  const pushed = await own.store.push(`${registry.host}/charts/two:1`, quiet);
  expect(pushed.digest).toBe(pulled.id);
  expect(await raw("charts/two")).toBe(artifact.toString());
  await own.store.remove(pulled.id, { force: true, inUse: () => undefined });
  expect(await contentOf(own.root)).toEqual([]);
});

test("a layer that is no tar makes an artifact of an image, and a broken blob of it leaves nothing", async () => {
  const secret = JSON.parse(fakeImage().manifest.toString().replace("v1.tar+gzip", "v1.tar+encrypted"));
  const image = fakeImage();
  await using fake = fakeRegistry(image, (_, url) =>
    url.pathname.endsWith("/manifests/1") ? Response.json(secret) : undefined,
  );
  await using own = await testStore();
  const pulled = await own.store.pull(`${fake.host}/x:1`, quiet);
  expect(pulled.artifactType).toBe("application/vnd.oci.image.layer.v1.tar+encrypted");
  await using liar = fakeRegistry(image, (_, url) => {
    if (url.pathname.endsWith("/manifests/1")) return Response.json(secret);
    return url.pathname.endsWith(digestOf(image.layer))
      ? new Response(Buffer.alloc(image.layer.length))
      : undefined;
  });
  await using other = await testStore();
  const error = await failure(other.store.pull(`${liar.host}/x:1`, quiet));
  expect(error).toMatchObject({ code: "digestMismatch" });
  expect(String(error)).toContain(`the blob ${digestOf(image.layer).slice(7, 19)} of ${liar.host}/x:1`);
  expect(await contentOf(other.root)).toEqual([]);
});

test("a foreign layer comes from its own place, without credentials, and is not pushed", async () => {
  const image = fakeImage();
  const seen: (string | null)[] = [];
  await using elsewhere = fakeRegistry(image, (request) => {
    seen.push(request.headers.get("authorization"));
    return undefined;
  });
  const manifest = JSON.parse(image.manifest.toString());
  manifest.layers[0].mediaType = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
  manifest.layers[0].urls = [`http://${elsewhere.host}/files/blobs/${digestOf(image.layer)}`];
  const layers = new Set([digestOf(image.layer)]);
  await using fake = fakeRegistry(image, (_, url) => {
    if (url.pathname.endsWith("/manifests/1")) return Response.json(manifest);
    return [...layers].some((layer) => url.pathname.endsWith(layer))
      ? new Response("{}", { status: 404 })
      : undefined;
  });
  await using own = await testStore();
  const pulled = await own.store.pull(`${fake.host}/x:1`, {
    ...quiet,
    auth: { username: "u", password: "p" },
  });
  expect(pulled.layers.length).toBe(1);
  expect(seen).toEqual([null]);
  await own.store.tag(pulled.id, `${registry.host}/foreign/x:1`);
  const events: ProgressEvent[] = [];
  // This registry takes no manifest with a layer that it has not and may not fetch.
  const error = await failure(
    own.store.push(`${registry.host}/foreign/x:1`, { ...quiet, onProgress: (event) => events.push(event) }),
  );
  expect(error).toMatchObject({ code: "registry" });
  expect(events.map(({ status }) => status)).toContain("Skipped foreign layer");
});

test("what is not for this platform is kept whole when all platforms are asked for", async () => {
  const arm = fakeImage("arm", { os: "linux", architecture: "arm64" });
  const platform = { os: "linux", architecture: "arm64" };
  const index = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociIndex,
      manifests: [{ ...describe(arm.manifest, mediaTypes.ociManifest), platform }],
    }),
  );
  await using fake = fakeRegistry({ ...arm, manifest: index });
  await using own = await testStore();
  expect(await failure(own.store.pull(`${fake.host}/x:1`, quiet))).toMatchObject({ code: "conflict" });
  const pulled = await own.store.pull(`${fake.host}/x:1`, { ...quiet, platform: "all" });
  expect(pulled).toMatchObject({ id: digestOf(index), artifactType: mediaTypes.ociIndex });
  await own.store.tag(pulled.id, `${registry.host}/only/arm:1`);
  await own.store.tag(`${fake.host}/x:1`, `${registry.host}/only/arm:1`);
  expect((await own.store.push(`${registry.host}/only/arm:1`, quiet)).digest).toBe(digestOf(index));
});

test("what a registry has is told without pulling it", async () => {
  const image = fakeImage();
  await using fake = fakeRegistry(image);
  await using own = await testStore();
  expect(await own.store.inspectRemote(`${fake.host}/x:1`, { signal: new AbortController().signal })).toEqual(
    {
      digest: digestOf(image.manifest),
      mediaType: mediaTypes.ociManifest,
      size: image.manifest.length,
      platforms: [{ os: "linux", architecture: "amd64", variant: "" }],
    },
  );
});
