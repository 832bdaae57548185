import { afterEach, expect, test } from "bun:test";
import { useDefaultRegistry } from "../image/reference.ts";
import { authOf, authsOf, isForHubAlone } from "./registry-auth.ts";

afterEach(() => useDefaultRegistry("docker.io"));

test("Docker Hub's credentials do not go to another registry of short names", () => {
  const hub = "https://index.docker.io/v1/";
  for (const name of ["alpine", "team/app:1", "ghcr.io/x/y"]) expect(isForHubAlone(hub, name)).toBe(false);
  useDefaultRegistry("registry.example.com");
  expect(isForHubAlone(hub, "alpine")).toBe(true);
  expect(isForHubAlone("docker.io", "team/app:1")).toBe(true);
  expect(isForHubAlone(hub, "docker.io/alpine")).toBe(false);
  for (const other of ["registry.example.com", "notdocker.io", ""])
    expect(isForHubAlone(other, "alpine")).toBe(false);
});

test("credentials come apart or in one, with tokens in their place", () => {
  const none = {
    username: "",
    password: "",
    auth: "",
    serveraddress: "",
    identitytoken: "",
    registrytoken: "",
  };
  expect(authOf(none)).toBeUndefined();
  expect(authOf({ ...none, auth: btoa("me:a:b") })).toEqual({ username: "me", password: "a:b" });
  expect(authOf({ ...none, username: "me", password: "x" })).toEqual({ username: "me", password: "x" });
  expect(authOf({ ...none, identitytoken: "t" })).toMatchObject({ identityToken: "t" });
  expect(authOf({ ...none, registrytoken: "t" })).toMatchObject({ registryToken: "t" });
});

test("a build's credentials are found by the registry's host, however its login was written", () => {
  const config = Object.fromEntries(
    [
      "https://index.docker.io/v1/",
      "https://old.example.com/v2/",
      "new.example.com:5000",
      "http://new.example.com:5000",
    ].map((address) => [address, { username: address, password: "x" }]),
  );
  const auths = authsOf(Buffer.from(JSON.stringify(config)).toString("base64url"));
  const user = (domain: string) => auths(domain)?.username;
  expect(user("docker.io")).toBe("https://index.docker.io/v1/");
  expect(user("old.example.com")).toBe("https://old.example.com/v2/");
  expect(user("new.example.com:5000")).toBe("new.example.com:5000");
  for (const other of [
    "new.example.com",
    "example.com",
    "toString",
    "__proto__",
    "index.docker.io.example.com",
  ])
    expect(user(other)).toBeUndefined();
});
