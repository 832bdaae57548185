/** Logins, and a token server of the test's own. */
import { expect, test } from "bun:test";
import type { PushOptions } from "../image-store.ts";
import { challenge, failure, fakeImage, fakeRegistry } from "../testing/fake-registry.ts";
import { testStore } from "../testing/store.ts";
import { domainOfAddress } from "./login.ts";

const quiet: PushOptions = { platform: "", onProgress: () => undefined };
const never = new AbortController().signal;
const image = fakeImage();

interface TokenRequest {
  readonly how: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly scopes: readonly string[];
}

/** Gives tokens to `user` with `secret`, or with the identity token `keep-me`, that are good once, or for ever. */
function tokenServer(uses: "once" | "always") {
  const requests: TokenRequest[] = [];
  const good = new Set<string>();
  const server = fakeRegistry(image, async (request, url) => {
    const form = request.method === "POST" ? new URLSearchParams(await request.text()) : url.searchParams;
    const how = `${request.method} ${request.headers.get("authorization") ?? "nobody"}`;
    requests.push({ how, parameters: Object.fromEntries(form), scopes: form.getAll("scope") });
    const known = how.endsWith(`Basic ${btoa("user:secret")}`) || form.get("refresh_token") === "keep-me";
    if (!known) return Response.json({ details: "incorrect username or password" }, { status: 401 });
    const token = `token-${requests.length}`;
    good.add(token);
    return Response.json({
      access_token: token,
      ...(form.has("offline_token") ? { refresh_token: "keep-me" } : {}),
    });
  });
  return {
    server,
    requests,
    take(header: string | null): boolean {
      const token = (header ?? "").replace("Bearer ", "");
      return uses === "once" ? good.delete(token) : good.has(token);
    },
  };
}

test("a login gives an identity token, which serves in place of the password", async () => {
  const tokens = tokenServer("once");
  await using server = tokens.server;
  await using registry = fakeRegistry(image, (request, url) => {
    if (url.pathname === "/v2/" && request.headers.get("authorization") === null)
      return challenge(`Bearer realm="http://${server.host}/token",service="here"`);
    if (tokens.take(request.headers.get("authorization")))
      return url.pathname === "/v2/" ? new Response("{}") : undefined;
    return challenge(`Bearer realm="http://${server.host}/token",service="here",scope="repository:x/y:pull"`);
  });
  await using own = await testStore();
  const login = (password: string) =>
    own.store.login(`http://${registry.host}/v2/`, { username: "user", password }, never);
  const refused = await failure(login("wrong"));
  expect(refused).toMatchObject({ code: "unauthorized" });
  expect(String(refused)).toContain("incorrect username or password");
  expect(await login("secret")).toBe("keep-me");
  expect(tokens.requests.at(-1)).toMatchObject({
    how: `GET Basic ${btoa("user:secret")}`,
    parameters: { service: "here", account: "user", client_id: "hull", offline_token: "true" },
  });
  // Each token serves once: what ran out is fetched again.
  const auth = { username: "", password: "", identityToken: "keep-me" };
  await own.store.pull(`${registry.host}/x/y:1`, { ...quiet, auth });
  expect(tokens.requests.at(-1)).toMatchObject({
    how: "POST nobody",
    parameters: {
      grant_type: "refresh_token",
      refresh_token: "keep-me",
      client_id: "hull",
      scope: "repository:x/y:pull",
    },
  });
});

test("a push asks for the right to push, and to read where it borrows from", async () => {
  const tokens = tokenServer("always");
  await using server = tokens.server;
  const uploads: string[] = [];
  const stored = new Set<string>();
  await using registry = fakeRegistry(image, async (request, url) => {
    const authorized = tokens.take(request.headers.get("authorization"));
    if (request.method === "GET" && !url.pathname.includes("/two/")) return undefined;
    if (!authorized) return challenge(`Bearer realm="http://${server.host}/token",service="here"`);
    if (request.method === "POST") {
      uploads.push(url.search);
      if (url.searchParams.get("from") !== null) return new Response("", { status: 201 });
      return new Response("", { status: 202, headers: { location: "/v2/two/app/blobs/uploads/1?state=a" } });
    }
    if (request.method === "PUT") {
      stored.add(url.pathname);
      return new Response("", { status: 201 });
    }
    return new Response("", { status: 404 });
  });
  await using own = await testStore();
  const auth = { username: "user", password: "secret" };
  await own.store.pull(`${registry.host}/one/app:1`, quiet);
  await own.store.tag(`${registry.host}/one/app:1`, `${registry.host}/two/app:1`);
  await own.store.push(`${registry.host}/two/app:1`, { ...quiet, auth });
  expect(uploads.every((query) => query.includes("from=one%2Fapp"))).toBe(true);
  expect([...stored]).toEqual(["/v2/two/app/manifests/1"]);
  expect(tokens.requests[0]?.scopes).toEqual(["repository:two/app:pull,push"]);
  expect(tokens.requests.at(-1)?.scopes).toEqual(["repository:one/app:pull", "repository:two/app:pull,push"]);

  const denied = await failure(
    own.store.push(`${registry.host}/two/app:1`, { ...quiet, auth: { ...auth, password: "x" } }),
  );
  expect(denied).toMatchObject({ code: "pushDenied" });
  expect(String(denied)).toContain("incorrect username or password");
});

test("a registry that wants no login takes any, and one that is not there is said so", async () => {
  await using registry = fakeRegistry(image, (_, url) =>
    url.pathname === "/v2/" ? new Response("{}") : undefined,
  );
  await using own = await testStore();
  expect(await own.store.login(registry.host, { username: "a", password: "b" }, never)).toBe("");
  const gone = fakeRegistry(image);
  await gone[Symbol.asyncDispose]();
  const error = await failure(own.store.login(gone.host, { username: "a", password: "b" }, never));
  expect(String(error)).toMatch(/registry 127.*: .*the connection is refused/);
});

test("addresses of logins are those of docker", () => {
  for (const address of ["", "https://index.docker.io/v1/", "docker.io", "registry-1.docker.io"])
    expect(domainOfAddress(address)).toBe("docker.io");
  expect(domainOfAddress("https://r.example.com:5000/v2/")).toBe("r.example.com:5000");
  for (const wrong of ["library", "a b", "x/y"]) expect(() => domainOfAddress(wrong)).toThrow();
});
