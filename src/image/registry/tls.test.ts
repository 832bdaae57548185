/** Certificates: who is trusted, who is not, and what is said of it. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { copyFile, mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { makeAuthority, pemOf, type TestAuthority } from "../../../test/support/certificates.ts";
import type { PullOptions } from "../image-store.ts";
import { failure, fakeImage, fakeRegistry } from "../testing/fake-registry.ts";
import { testSettings, testStore } from "../testing/store.ts";
import { type TempDirectory, tempDirectory } from "../testing/temp.ts";
import type { RegistrySettings } from "./settings.ts";

const quiet: PullOptions = { platform: "", onProgress: () => undefined };
const image = fakeImage();
let temp: TempDirectory;
let authority: TestAuthority;
let other: TestAuthority;

beforeAll(async () => {
  temp = await tempDirectory();
  authority = await makeAuthority();
  other = await makeAuthority();
});
afterAll(async () => {
  for (const each of [temp, authority, other]) await each[Symbol.asyncDispose]();
});

/** Settings with a folder of certificates for a host. */
async function trusting(host: string, files: Readonly<Record<string, string>>): Promise<RegistrySettings> {
  const folder = join(temp.path, host);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder);
  for (const [name, path] of Object.entries(files)) await copyFile(path, join(folder, name));
  return { ...testSettings, certificateDirectories: [join(temp.path, "none"), temp.path] };
}

async function pullFrom(host: string, settings: RegistrySettings): Promise<string> {
  await using own = await testStore(settings);
  const error = await failure(own.store.pull(`${host}/x/y:1`, quiet));
  return error === undefined ? "pulled" : String(error);
}

test("a registry is trusted by the authority in certs.d, and by no other", async () => {
  await using registry = fakeRegistry(image, undefined, await pemOf(await authority.sign("registry")));
  const { host } = registry;
  expect(await pullFrom(host, await trusting(host, { "ca.crt": authority.certificate }))).toBe("pulled");
  const both = { "a.crt": other.certificate, "b.crt": authority.certificate };
  expect(await pullFrom(host, await trusting(host, both))).toBe("pulled");
  const stranger = await trusting(host, { "ca.crt": other.certificate });
  expect(await pullFrom(host, stranger)).toMatch(
    new RegExp(
      `registry ${host}: the manifest of ${host}/x/y:1: ${host} cannot be reached: its certificate is of an authority that is not known here`,
    ),
  );
  // What the configuration calls insecure is not checked, and a registry of this machine without certificates neither.
  expect(await pullFrom(host, { ...stranger, insecure: ["127.0.0.0/8"] })).toBe("pulled");
  expect(await pullFrom(host, { ...stranger, insecure: [host] })).toBe("pulled");
  expect(await pullFrom(host, testSettings)).toBe("pulled");
});

test("an expired certificate, and one for other names, are told apart", async () => {
  await using old = fakeRegistry(image, undefined, await pemOf(await authority.sign("old", "expired")));
  const settings = await trusting(old.host, { "ca.crt": authority.certificate });
  expect(await pullFrom(old.host, settings)).toContain("its certificate has expired");
  await using registry = fakeRegistry(image, undefined, await pemOf(await authority.sign("named")));
  const host = registry.host.replace("127.0.0.1", "elsewhere.localhost");
  expect(await pullFrom(host, await trusting(host, { "ca.crt": authority.certificate }))).toContain(
    "its certificate is for other names",
  );
});

test("a certificate of ours is shown to a registry that asks for one", async () => {
  const ca = await Bun.file(authority.certificate).text();
  const tls = {
    ...(await pemOf(await authority.sign("server"))),
    ca,
    requestCert: true,
    rejectUnauthorized: true,
  };
  await using registry = fakeRegistry(image, undefined, tls);
  const { host } = registry;
  const own = await authority.sign("client");
  const trust = { "ca.crt": authority.certificate };
  const pair = { "client.cert": own.certificate, "client.key": own.key };
  expect(await pullFrom(host, await trusting(host, { ...trust, ...pair }))).toBe("pulled");
  expect(await pullFrom(host, await trusting(host, trust))).toMatch(/cannot be reached/);
  const keyless = await trusting(host, { ...trust, "client.cert": own.certificate });
  expect(await pullFrom(host, keyless)).toContain(
    `client.cert has no key beside it: put it into ${join(temp.path, host, "client.key")}`,
  );
});
