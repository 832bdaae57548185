/** Registries that lie or break off: what they give is refused, and nothing of it stays. */
import { expect, test } from "bun:test";
import { once } from "node:events";
import { createServer } from "node:net";
import { digestOf } from "../content/content-store.ts";
import type { PullOptions } from "../image-store.ts";
import { type FakeImage, failure, fakeImage, fakeRegistry, type Handler } from "../testing/fake-registry.ts";
import { contentOf, testStore } from "../testing/store.ts";

const quiet: PullOptions = { platform: "", onProgress: () => undefined };

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
  await expectRefused(
    image,
    give(image.layer.subarray(0, 50)),
    "registry",
    /layer [0-9a-f]{12} of .*x\/y:1: 50 of \d+ bytes came/,
  );
  await expectRefused(image, give(Buffer.concat([image.layer, image.layer])), "tooLarge", /promises/);
  await expectRefused(image, give(Buffer.alloc(image.layer.length, 1)), "digestMismatch", /does not match/);
  const noGzip = fakeImage("hello", undefined, () => Buffer.alloc(500, 1));
  await expectRefused(noGzip, () => undefined, "corrupt", /corrupt/);
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
    fakeImage("x", { os: "windows", architecture: "amd64" }),
    () => undefined,
    "conflict",
    /platform/,
  );
  await expectRefused(image, () => new Response("x".repeat(9_000_000)), "tooLarge", /more than/);
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

test("what is far too large is refused before it is fetched", async () => {
  const manifest = JSON.parse(image.manifest.toString("utf8"));
  const give = (change: object) => (_: Request, url: URL) =>
    url.pathname.endsWith("/manifests/1") ? Response.json({ ...manifest, ...change }) : undefined;
  const layers = Array.from({ length: 10_000 }, () => manifest.layers[0]);
  await expectRefused(
    image,
    give({ layers }),
    "tooLarge",
    /the manifest of .*x\/y:1 is too large: 10000 layers/,
  );
  const config = { ...manifest.config, size: 1_000_000_000 };
  await expectRefused(
    image,
    give({ config }),
    "tooLarge",
    /the config of .*x\/y:1 is too large: 1000000000 bytes/,
  );
});

test("pages of tags that bring nothing come to an end", async () => {
  await using own = await testStore();
  await using registry = fakeRegistry(image, (_, url) => {
    if (!url.pathname.endsWith("/tags/list")) return undefined;
    const tags = url.searchParams.has("last") ? [] : ["1"];
    return Response.json({ tags }, { headers: { link: '</v2/x/y/tags/list?last=1>; rel="next"' } });
  });
  expect(await own.store.pullAll(`${registry.host}/x/y`, quiet)).toHaveLength(1);
  expect(registry.requests.filter(({ url }) => url.includes("/tags/list"))).toHaveLength(2);
});
