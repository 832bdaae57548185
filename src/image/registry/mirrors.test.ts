/** Mirrors and proxies: other ways to the same images. */
import { expect, test } from "bun:test";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { makeAuthority, pemOf } from "../../../test/support/certificates.ts";
import { digestOf } from "../content/content-store.ts";
import type { ProgressEvent, PullOptions } from "../image-store.ts";
import { challenge, failure, fakeImage, fakeRegistry } from "../testing/fake-registry.ts";
import { contentOf, testSettings, testStore } from "../testing/store.ts";

const quiet: PullOptions = { platform: "", onProgress: () => undefined };
const image = fakeImage();

test("mirrors are asked in order, without the user's credentials, and whatever is wrong with one", async () => {
  await using empty = fakeRegistry(image, () => new Response("{}", { status: 404 }));
  await using broken = fakeRegistry(image, () => new Response("", { status: 500 }));
  await using closed = fakeRegistry(image, () => challenge('Basic realm="x"'));
  await using good = fakeRegistry(image);
  await using registry = fakeRegistry(image);
  const gone = fakeRegistry(image);
  await gone[Symbol.asyncDispose]();
  const urls = [gone, empty, broken, closed, good].map(({ host }) => `http://${host}`);
  await using own = await testStore({ ...testSettings, mirrors: { [registry.host]: urls } });
  const auth = { username: "user", password: "secret" };
  const pulled = await own.store.pull(`${registry.host}/x/y:1`, { ...quiet, auth });
  expect(pulled.references).toEqual([`${registry.host}/x/y:1`]);
  for (const mirror of [empty, broken, closed]) expect(mirror.requests.length).toBeGreaterThan(0);
  expect(good.requests.length).toBe(3);
  expect(registry.requests.every(({ url }) => url.endsWith("/v2/"))).toBe(true);
  for (const { requests } of [empty, broken, closed, good])
    expect(requests.every(({ headers }) => !headers.has("authorization"))).toBe(true);
});

test("a mirror has its own credentials, and a path; what it breaks off the registry goes on with", async () => {
  await using mirror = fakeRegistry(image, (request, url) => {
    if (request.headers.get("authorization") !== `Basic ${btoa("me:p@ss")}`)
      return challenge('Basic realm="x"');
    expect(url.pathname).toStartWith("/some/where/v2/");
    return url.pathname.endsWith(digestOf(image.layer))
      ? new Response(image.layer.subarray(0, 40))
      : undefined;
  });
  await using registry = fakeRegistry(image);
  const mirrors = { [registry.host]: [`http://me:p%40ss@${mirror.host}/some/where/`] };
  await using own = await testStore({ ...testSettings, mirrors });
  await own.store.pull(`${registry.host}/x/y:1`, quiet);
  expect(registry.requests.map(({ headers }) => headers.get("range"))).toContain("bytes=40-");
});

test("a mirror that gives something else than what was asked for is passed over", async () => {
  const other = fakeImage("jello");
  const [config = ""] = [...image.blobs.keys()].filter((digest) => digest !== digestOf(image.layer));
  const wrongs: readonly ((url: URL) => Response | undefined)[] = [
    (url) => (url.pathname.endsWith(digestOf(image.layer)) ? new Response(other.layer) : undefined),
    (url) =>
      url.pathname.endsWith(digestOf(image.layer)) ? new Response("far too much".repeat(9999)) : undefined,
    (url) =>
      url.pathname.endsWith(config)
        ? new Response(Buffer.alloc(image.blobs.get(config)?.length ?? 0))
        : undefined,
    (url) => (url.pathname.endsWith("/manifests/1") ? new Response("<html>Welcome</html>") : undefined),
  ];
  for (const wrong of wrongs) {
    await using mirror = fakeRegistry(image, (_, url) => wrong(url));
    await using second = fakeRegistry(image, (_, url) => wrong(url));
    await using registry = fakeRegistry(image);
    const mirrors = { [registry.host]: [`http://${mirror.host}`, `http://${second.host}`] };
    await using own = await testStore({ ...testSettings, mirrors });
    const events: ProgressEvent[] = [];
    const onProgress = (event: ProgressEvent) => void events.push(event);
    const pulled = await own.store.pull(`${registry.host}/x/y:1`, { ...quiet, onProgress });
    expect(pulled.references).toEqual([`${registry.host}/x/y:1`]);
    // Each was asked for it, and the registry for no more than that.
    for (const { requests } of [mirror, second]) expect(requests.length).toBeGreaterThan(0);
    expect(registry.requests.filter(({ url }) => !url.endsWith("/v2/")).length).toBe(1);
    expect(events.at(-1)?.status).toStartWith("Status: Downloaded newer image");
  }
});

test("when all of them give something else, that is said", async () => {
  const give = (_: Request, url: URL) =>
    url.pathname.endsWith(digestOf(image.layer)) ? new Response(fakeImage("jello").layer) : undefined;
  await using mirror = fakeRegistry(image, give);
  await using registry = fakeRegistry(image, give);
  const mirrors = { [registry.host]: [`http://${mirror.host}`] };
  await using own = await testStore({ ...testSettings, mirrors });
  const error = await failure(own.store.pull(`${registry.host}/x/y:1`, quiet));
  expect(error).toMatchObject({ code: "digestMismatch" });
  expect(await contentOf(own.root)).toEqual([]);
});

test("a proxy is asked for a tunnel to a registry, unless the registry is exempt", async () => {
  await using authority = await makeAuthority();
  await using registry = fakeRegistry(image, undefined, await pemOf(await authority.sign("registry")));
  const port = Number(registry.host.split(":")[1]);
  const heads: string[] = [];
  const proxy = createServer((client) => {
    client.on("error", () => client.destroy());
    client.once("data", (head) => {
      heads.push(head.toString("latin1"));
      const upstream = connect(port, "127.0.0.1", () => client.write("HTTP/1.1 200 OK\r\n\r\n"));
      upstream.on("error", () => client.destroy());
      client.pipe(upstream).pipe(client);
    });
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  const address = proxy.address();
  if (address === null || typeof address === "string") throw new Error("it listens on a port");
  const https = `http://me:secret@127.0.0.1:${address.port}`;
  try {
    const host = "registry.test:5000";
    const through = { ...testSettings, insecure: [host], proxies: { http: "", https, except: "" } };
    await using own = await testStore(through);
    expect((await own.store.pull(`${host}/x/y:1`, quiet)).references).toEqual([`${host}/x/y:1`]);
    expect(heads[0]).toStartWith("CONNECT registry.test:5000 HTTP/1.1\r\n");
    expect(heads[0]).toContain(`Proxy-Authorization: Basic ${btoa("me:secret")}`);
    const tunnels = heads.length;
    await using other = await testStore({ ...through, proxies: { http: "", https, except: "x, .test" } });
    const error = await failure(other.store.pull(`${host}/x/y:1`, quiet));
    // Nobody else knows that name, and the proxy was not asked.
    expect(String(error)).toMatch(/there is no host of that name|the name cannot be looked up/);
    expect(heads.length).toBe(tunnels);
  } finally {
    proxy.close();
  }
});
