/** Pulling: from a registry of another make, and from one that shows what it was asked. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { startRegistry } from "../../../test/support/registry.ts";
import { isHullError } from "../../contract/errors.ts";
import { digestOf } from "../content/content-store.ts";
import type { ProgressEvent, PullOptions } from "../image-store.ts";
import { mediaTypes } from "../manifest.ts";
import { type FakeImage, failure, fakeImage, fakeRegistry } from "../testing/fake-registry.ts";
import { makeLayout } from "../testing/layout.ts";
import { must } from "../testing/programs.ts";
import { contentOf, smallTar, tarFile, testStore } from "../testing/store.ts";
import { tempDirectory } from "../testing/temp.ts";

// Other programs do much of the work, on a machine that may be busy.
setDefaultTimeout(120_000);

const quiet: PullOptions = { platform: "", onProgress: () => undefined };

const image = fakeImage();
const isLayer = (url: URL) => url.pathname.endsWith(digestOf(image.layer));

test("an image of several layers comes from a real registry with its digests", async () => {
  await using temp = await tempDirectory();
  await using own = await testStore();
  await using registry = await startRegistry();
  const layout = await makeLayout(temp.path, "v1");
  await registry.push(layout.path, "v1", "team/app:v1");
  const name = `${registry.host}/team/app:v1`;
  const events: ProgressEvent[] = [];
  const image = await own.store.pull(name, { platform: "", onProgress: (event) => events.push(event) });
  const { digest } = JSON.parse(await readFile(join(layout.path, "index.json"), "utf8")).manifests[0];
  expect(image.references).toEqual([name]);
  expect(image.digests).toEqual([`${registry.host}/team/app@${digest}`]);
  expect(image.layers.map((layer) => layer.diffId)).toEqual(
    await Promise.all(layout.tars.map(async (tar) => digestOf(await readFile(tar)))),
  );
  const said = events.map((event) => event.status);
  expect(said[0]).toBe("Pulling from team/app");
  const states = ["Downloading", "Verifying Checksum", "Download complete", "Extracting", "Pull complete"];
  const fetched = events.filter((event) => event.status === "Pulling fs layer").map(({ id }) => id);
  expect(fetched.length).toBe(3);
  for (const id of fetched) {
    const own = events.filter((event) => event.id === id && states.includes(event.status));
    // One bar after the other, each of which grows to its end.
    expect([...new Set(own.map(({ status }) => status))]).toEqual(states);
    expect(own.map(({ status }) => status).toSorted((a, b) => states.indexOf(a) - states.indexOf(b))).toEqual(
      own.map(({ status }) => status),
    );
    for (const status of ["Downloading", "Extracting"]) {
      const bars = own.filter((event) => event.status === status).map((event) => event.progressDetail);
      expect(bars.at(-1)?.current).toBe(bars.at(-1)?.total);
      const done = bars.map((bar) => bar?.current ?? -1);
      expect(done.toSorted((a, b) => a - b)).toEqual(done);
    }
  }
  expect(said.slice(-2)).toEqual([`Digest: ${digest}`, `Status: Downloaded newer image for ${name}`]);

  // The same again: nothing is fetched.
  events.length = 0;
  await own.store.pull(name, { platform: "", onProgress: (event) => events.push(event) });
  expect(events.filter((event) => event.status === "Already exists").length).toBe(3);
  expect(events.at(-1)?.status).toBe(`Status: Image is up to date for ${name}`);

  // By digest, into another store.
  await using other = await testStore();
  const pinned = await other.store.pull(`${registry.host}/team/app@${digest}`, quiet);
  expect(pinned.id).toBe(image.id);
  expect(pinned.references).toEqual([]);
  expect((await other.store.resolve(`${registry.host}/team/app@${digest}`)).id).toBe(image.id);

  // Docker's own manifest format, and zstd.
  const copy = ["skopeo", "copy", "--quiet", "--insecure-policy", "--dest-tls-verify=false"];
  await must(
    ...copy,
    "--format",
    "v2s2",
    `oci:${layout.path}:v1`,
    `docker://${registry.host}/team/docker:v2s2`,
  );
  expect((await other.store.pull(`${registry.host}/team/docker:v2s2`, quiet)).layers).toEqual(
    (await other.store.resolve(image.id)).layers,
  );
  await must(
    ...copy,
    "--dest-compress-format",
    "zstd",
    `oci:${layout.path}:v1`,
    `docker://${registry.host}/team/z:1`,
  );
  await using third = await testStore();
  expect(
    (await third.store.pull(`${registry.host}/team/z:1`, quiet)).layers.map((layer) => layer.diffId),
  ).toEqual(image.layers.map((layer) => layer.diffId));

  for (const missing of ["team/app:v2", "team/nothing:v1", `team/app@sha256:${"0".repeat(64)}`]) {
    const error = await failure(own.store.pull(`${registry.host}/${missing}`, quiet));
    expect(isHullError(error, "manifestUnknown")).toBe(true);
    expect(String(error)).toContain(`manifest for ${registry.host}/${missing} not found: manifest unknown`);
  }
});

test("an index gives the manifest for the platform that is asked for", async () => {
  const amd = fakeImage("amd");
  const arm = fakeImage("arm", { os: "linux", architecture: "arm64" });
  const describe = (of: FakeImage, architecture: string, variant?: string) => ({
    mediaType: mediaTypes.ociManifest,
    digest: digestOf(of.manifest),
    size: of.manifest.length,
    platform: { os: "linux", architecture, ...(variant === undefined ? {} : { variant }) },
  });
  const index = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociIndex,
      manifests: [
        { ...describe(amd, "unknown"), platform: { os: "unknown", architecture: "unknown" } },
        describe(arm, "arm64", "v8"),
        describe(amd, "amd64"),
      ],
    }),
  );
  await using own = await testStore();
  await using registry = fakeRegistry({
    ...amd,
    manifest: index,
    blobs: new Map([...amd.blobs, ...arm.blobs]),
  });
  const pulled = await own.store.pull(`${registry.host}/x:1`, { ...quiet, platform: "linux/arm64" });
  expect(pulled.config.architecture).toBe("arm64");
  expect(pulled.digests).toEqual([`${registry.host}/x@${digestOf(index)}`]);
  expect(
    (await own.store.pull(`${registry.host}/x:1`, { ...quiet, platform: "linux/amd64" })).config.architecture,
  ).toBe("amd64");
  expect((await own.store.resolve(`${registry.host}/x:1`)).config.architecture).toBe("amd64");
  expect(
    isHullError(
      await failure(own.store.pull(`${registry.host}/x:1`, { ...quiet, platform: "linux/s390x" })),
      "conflict",
    ),
  ).toBe(true);
});

test("a pull can be cancelled, and leaves nothing", async () => {
  const cancel = new AbortController();
  await using registry = fakeRegistry(image, (_, url) => {
    if (!isLayer(url)) return undefined;
    // The rest never comes.
    return new Response(
      new ReadableStream({ start: (controller) => controller.enqueue(image.layer.subarray(0, 40)) }),
    );
  });
  await using own = await testStore();
  const pulling = own.store.pull(`${registry.host}/x:1`, {
    ...quiet,
    signal: cancel.signal,
    onProgress: (event) => {
      if (event.status === "Pulling fs layer")
        setTimeout(() => cancel.abort(new Error("cancelled by the test")), 50);
    },
  });
  expect(await failure(pulling)).toMatchObject({ message: "cancelled by the test" });
  expect(await contentOf(own.root)).toEqual([]);
});

test("two pulls at once share what they fetch", async () => {
  await using registry = fakeRegistry(image);
  await using own = await testStore();
  const [one, two] = await Promise.all([
    own.store.pull(`${registry.host}/a:1`, quiet),
    own.store.pull(`${registry.host}/b:1`, quiet),
  ]);
  expect(one.id).toBe(two.id);
  expect(registry.requests.filter((request) => isLayer(new URL(request.url))).length).toBe(1);
});

test("three layers are fetched at a time, and no more", async () => {
  const tars = Array.from({ length: 9 }, (_, i) => smallTar(tarFile(`file-${i}`, `${i}`)));
  const layers = tars.map((tar) => gzipSync(tar));
  const config = Buffer.from(
    JSON.stringify({
      os: "linux",
      architecture: "amd64",
      rootfs: { type: "layers", diff_ids: tars.map(digestOf) },
    }),
  );
  const describe = (bytes: Uint8Array, mediaType: string) => ({
    mediaType,
    digest: digestOf(bytes),
    size: bytes.length,
  });
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      config: describe(config, mediaTypes.ociConfig),
      layers: layers.map((layer) => describe(layer, "application/vnd.oci.image.layer.v1.tar+gzip")),
    }),
  );
  const blobs = new Map<string, Uint8Array>([...layers, config].map((bytes) => [digestOf(bytes), bytes]));
  let now = 0;
  let most = 0;
  const waiting: (() => void)[] = [];
  await using registry = fakeRegistry({ manifest, blobs, layer: Buffer.alloc(0) }, async (_, url) => {
    const layer = layers.find((each) => url.pathname.endsWith(digestOf(each)));
    if (layer === undefined) return undefined;
    now++;
    most = Math.max(most, now);
    // Each is held until three have come, or the last.
    await new Promise<void>((resolve) => {
      waiting.push(resolve);
      if (now === 3) for (const release of waiting.splice(0)) release();
    });
    now--;
    return new Response(Buffer.from(layer));
  });
  await using own = await testStore();
  expect((await own.store.pull(`${registry.host}/x:1`, quiet)).layers.map((layer) => layer.diffId)).toEqual(
    tars.map(digestOf),
  );
  expect(most).toBe(3);
});
