/** What a build downloads itself. */
import { expect, test } from "bun:test";
import { noProxies } from "../../image/registry/proxy.ts";
import { download } from "./remote.ts";

const signal = new AbortController().signal;

async function text(bytes: AsyncIterable<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const part of bytes) parts.push(part);
  return Buffer.concat(parts).toString();
}

test("redirects are followed to other http places, and nowhere else", async () => {
  await using server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request) {
      const { pathname } = new URL(request.url);
      const to = { "/ok": "/file", "/round": "/round", "/local": "file:///etc/passwd", "/none": "http://" };
      const location = new Map(Object.entries(to)).get(pathname);
      return location === undefined
        ? new Response("here")
        : new Response(null, { status: 302, headers: { location } });
    },
  });
  const get = (path: string) => download(new URL(path, server.url).href, signal, noProxies);
  expect(await text((await get("/ok")).bytes)).toBe("here");
  await expect(get("/round")).rejects.toThrow("it redirects more than 10 times");
  await expect(get("/local")).rejects.toThrow('"file:///etc/passwd" is no http(s) URL');
  await expect(get("/none")).rejects.toThrow("is no http(s) URL");
});

test("the daemon's proxy is asked", async () => {
  const asked: string[] = [];
  await using proxy = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request) {
      asked.push(request.url);
      return new Response("by the proxy");
    },
  });
  const proxies = { ...noProxies, http: proxy.url.href };
  const { bytes } = await download("http://somewhere.invalid/file", signal, proxies);
  expect(await text(bytes)).toBe("by the proxy");
  expect(asked).toEqual(["http://somewhere.invalid/file"]);
});
