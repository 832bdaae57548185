/** Pulling: from a registry of another make, and from ones that lie, break off or ask for credentials. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { startRegistry } from "../../../test/support/registry.ts";
import { isHullError } from "../../contract/errors.ts";
import { digestOf } from "../content/content-store.ts";
import type { ProgressEvent, PullOptions } from "../image-store.ts";
import { mediaTypes } from "../manifest.ts";
import { makeLayout } from "../testing/layout.ts";
import { must } from "../testing/programs.ts";
import { contentOf, smallTar, tarFile, testStore } from "../testing/store.ts";
import { tempDirectory } from "../testing/temp.ts";

// Other programs do much of the work, on a machine that may be busy.
setDefaultTimeout(120_000);

const quiet: PullOptions = { platform: "", onProgress: () => undefined };

async function failure(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => undefined,
    (error: unknown) => error,
  );
}

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
  for (const status of [
    "Pulling fs layer",
    "Downloading",
    "Download complete",
    "Extracting",
    "Pull complete",
  ])
    expect(said).toContain(status);
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

interface FakeImage {
  readonly manifest: Buffer;
  readonly blobs: ReadonlyMap<string, Uint8Array>;
  readonly layer: Buffer;
}

function fakeImage(content = "hello", platform = { os: "linux", architecture: "amd64" }): FakeImage {
  const tar = smallTar(tarFile("file", content));
  const layer = gzipSync(tar);
  const config = Buffer.from(
    JSON.stringify({ ...platform, rootfs: { type: "layers", diff_ids: [digestOf(tar)] } }),
  );
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: { mediaType: mediaTypes.ociConfig, digest: digestOf(config), size: config.length },
      layers: [
        {
          mediaType: "application/vnd.oci.image.layer.v1.tar+gzip",
          digest: digestOf(layer),
          size: layer.length,
        },
      ],
    }),
  );
  return {
    manifest,
    layer,
    blobs: new Map<string, Uint8Array>([
      [digestOf(config), config],
      [digestOf(layer), layer],
      [digestOf(manifest), manifest],
    ]),
  };
}

type Handler = (request: Request, url: URL) => Response | Promise<Response | undefined> | undefined;

interface FakeRegistry extends AsyncDisposable {
  readonly host: string;
  readonly requests: Request[];
}

/** A registry that has one image under every name; `before` may answer instead. */
function fakeRegistry(image: FakeImage, before: Handler = () => undefined): FakeRegistry {
  const requests: Request[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      requests.push(request);
      const url = new URL(request.url);
      const own = await before(request, url);
      if (own !== undefined) return own;
      const [, kind, which = ""] = /\/(manifests|blobs)\/(.+)$/.exec(url.pathname) ?? [];
      const bytes =
        image.blobs.get(which) ?? (kind === "manifests" && !which.includes(":") ? image.manifest : undefined);
      return bytes === undefined ? new Response("{}", { status: 404 }) : new Response(Buffer.from(bytes));
    },
  });
  return {
    host: `127.0.0.1:${server.port}`,
    requests,
    [Symbol.asyncDispose]: async () => {
      await server.stop(true);
    },
  };
}

/** Pulls from a registry that behaves badly, and expects an error and an empty store. */
async function expectRefused(image: FakeImage, before: Handler, code: string, words: RegExp): Promise<void> {
  await using own = await testStore();
  await using registry = fakeRegistry(image, before);
  const error = await failure(own.store.pull(`${registry.host}/x/y:1`, quiet));
  expect(error).toMatchObject({ name: "HullError", code });
  expect(String(error)).toMatch(words);
  expect(await own.store.list()).toEqual([]);
  expect(await contentOf(own.root)).toEqual([]);
}

const image = fakeImage();
const isLayer = (url: URL) => url.pathname.endsWith(digestOf(image.layer));

test("a layer that is not what its digest says is refused", async () => {
  const other = fakeImage("jello");
  expect(other.layer.length).toBe(image.layer.length);
  const give = (_: Request, url: URL) => (isLayer(url) ? new Response(other.layer) : undefined);
  await expectRefused(image, give, "digestMismatch", /does not match its digest/);
});

test("so is one that breaks off, is longer than promised, is no gzip or is missing", async () => {
  const give = (body: Uint8Array) => (_: Request, url: URL) =>
    isLayer(url) ? new Response(Buffer.from(body)) : undefined;
  await expectRefused(image, give(image.layer.subarray(0, 50)), "corrupt", /unexpected end|came/);
  await expectRefused(image, give(Buffer.concat([image.layer, image.layer])), "tooLarge", /promises/);
  await expectRefused(image, give(Buffer.alloc(image.layer.length, 1)), "corrupt", /corrupt/);
  await expectRefused(
    image,
    (_, url) => (isLayer(url) ? new Response("", { status: 404 }) : undefined),
    "registry",
    /missing/,
  );
});

test("a connection that breaks in the middle of a layer is an error of the registry", async () => {
  const head = `HTTP/1.1 200 OK\r\nContent-Length: ${image.layer.length}\r\n\r\n`;
  const server = createServer((socket) => {
    socket.once("data", () => socket.end(Buffer.concat([Buffer.from(head), image.layer.subarray(0, 40)])));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("it listens on a port");
  const target = `http://127.0.0.1:${address.port}/layer`;
  try {
    const lead = (_: Request, url: URL) => (isLayer(url) ? Response.redirect(target) : undefined);
    await expectRefused(image, lead, "registry", /cannot be reached/);
  } finally {
    server.close();
  }
});

test("manifests and configs that are broken or something else are refused", async () => {
  const isTag = (url: URL) => url.pathname.endsWith("/manifests/1");
  const give = (json: string) => (_: Request, url: URL) => (isTag(url) ? new Response(json) : undefined);
  await expectRefused(image, give("<html>"), "corrupt", /not JSON/);
  await expectRefused(image, give("{}"), "corrupt", /schemaVersion/);
  await expectRefused(image, give('{"schemaVersion":1}'), "unsupported", /schema 1/);
  await expectRefused(
    image,
    give('{"schemaVersion":2,"manifests":[]}'),
    "conflict",
    /no matching manifest for linux/,
  );
  await expectRefused(
    image,
    give(image.manifest.toString().replace(mediaTypes.ociConfig, "application/vnd.cncf.helm.config.v1+json")),
    "unsupported",
    /not a container image/,
  );
  await expectRefused(
    image,
    give(image.manifest.toString().replace("v1.tar+gzip", "v1.tar+encrypted")),
    "unsupported",
    /not a tar/,
  );
  await expectRefused(
    fakeImage("x", { os: "windows", architecture: "amd64" }),
    () => undefined,
    "conflict",
    /platform/,
  );
  await expectRefused(image, () => new Response("x".repeat(9_000_000)), "tooLarge", /more than/);
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

test("a token is fetched with the credentials, and goes to the registry alone", async () => {
  const seen: { at: string; authorization: string | null }[] = [];
  await using elsewhere = fakeRegistry(image, (request, url) => {
    seen.push({ at: `elsewhere ${url.pathname}`, authorization: request.headers.get("authorization") });
    if (url.pathname !== "/token") return undefined;
    expect(url.searchParams.get("service")).toBe("here");
    expect(url.searchParams.get("scope")).toBe("repository:team/app:pull");
    return Response.json({ token: "the-token" });
  });
  await using registry = fakeRegistry(image, (request, url) => {
    const authorization = request.headers.get("authorization");
    if (authorization !== "Bearer the-token")
      return Response.json(
        { errors: [{ code: "UNAUTHORIZED", message: "authentication required" }] },
        {
          status: 401,
          headers: {
            "www-authenticate": `Bearer realm="http://${elsewhere.host}/token",service="here",scope="repository:team/app:pull"`,
          },
        },
      );
    return isLayer(url)
      ? Response.redirect(`http://${elsewhere.host}/cdn/blobs/${digestOf(image.layer)}`, 307)
      : undefined;
  });
  await using own = await testStore();
  const auth = { username: "user", password: "secret" };
  await own.store.pull(`${registry.host}/team/app:1`, { ...quiet, auth });
  expect(seen).toEqual([
    { at: "elsewhere /token", authorization: `Basic ${btoa("user:secret")}` },
    { at: `elsewhere /cdn/blobs/${digestOf(image.layer)}`, authorization: null },
  ]);
});

test("basic credentials are given when they are asked for; without or with wrong ones the pull is denied", async () => {
  const ask: Handler = (request) =>
    request.headers.get("authorization") === `Basic ${btoa("user:right")}`
      ? undefined
      : Response.json(
          { errors: [{ code: "UNAUTHORIZED", message: "authentication required" }] },
          { status: 401, headers: { "www-authenticate": 'Basic realm="x"' } },
        );
  await using registry = fakeRegistry(image, ask);
  await using own = await testStore();
  const pull = (password?: string) =>
    own.store.pull(`${registry.host}/x:1`, {
      ...quiet,
      ...(password === undefined ? {} : { auth: { username: "user", password } }),
    });
  expect(isHullError(await failure(pull()), "pullDenied")).toBe(true);
  expect(isHullError(await failure(pull("wrong")), "unauthorized")).toBe(true);
  expect((await pull("right")).layers.length).toBe(1);
  expect(registry.requests.length).toBeLessThan(12);
});

test("redirects that go round or lead to plain HTTP elsewhere are refused", async () => {
  await expectRefused(image, (_, url) => Response.redirect(url.href, 302), "registry", /redirects more than/);
  await expectRefused(image, () => Response.redirect("http://example.com/x", 302), "registry", /not HTTPS/);
  await expectRefused(image, () => Response.redirect("file:///etc/passwd", 302), "registry", /not HTTPS/);
});

test("a registry that is not there is said so", async () => {
  await using own = await testStore();
  const gone = fakeRegistry(image);
  await gone[Symbol.asyncDispose]();
  const error = await failure(own.store.pull(`${gone.host}/x:1`, quiet));
  expect(error).toMatchObject({ code: "registry" });
  expect(String(error)).toMatch(/cannot be reached/);
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
