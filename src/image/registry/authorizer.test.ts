/** Credentials: given when they are asked for, to whom they belong, and to nobody else. */
import { expect, test } from "bun:test";
import { isHullError } from "../../contract/errors.ts";
import { digestOf } from "../content/content-store.ts";
import type { PullOptions } from "../image-store.ts";
import { challenge, failure, fakeImage, fakeRegistry, type Handler } from "../testing/fake-registry.ts";
import { testStore } from "../testing/store.ts";

const quiet: PullOptions = { platform: "", onProgress: () => undefined };

const image = fakeImage();
const isLayer = (url: URL) => url.pathname.endsWith(digestOf(image.layer));

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
      return challenge(
        `Bearer realm="http://${elsewhere.host}/token",service="here",scope="repository:team/app:pull"`,
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
      : challenge('Basic realm="x"');
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

test("who is redirected to cannot ask for the credentials", async () => {
  const seen: string[] = [];
  await using elsewhere = fakeRegistry(image, (request, url) => {
    seen.push(`${url.pathname} ${request.headers.get("authorization")}`);
    if (url.pathname === "/token") return Response.json({ token: "stolen" });
    const scheme = url.pathname.startsWith("/basic/")
      ? 'Basic realm="x"'
      : `Bearer realm="http://${url.host}/token",service="x"`;
    return challenge(scheme);
  });
  for (const scheme of ["basic", "bearer"]) {
    await using registry = fakeRegistry(image, (_, url) =>
      isLayer(url) ? Response.redirect(`http://${elsewhere.host}/${scheme}/blob`, 307) : undefined,
    );
    await using own = await testStore();
    const auth = { username: "user", password: "secret" };
    const error = await failure(own.store.pull(`${registry.host}/x:1`, { ...quiet, auth }));
    expect(isHullError(error, "unauthorized")).toBe(true);
  }
  expect(seen).toEqual(["/basic/blob null", "/bearer/blob null"]);
});
