/** Pushing: to a registry of another make, and what others find there. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { startRegistry, type TestRegistry } from "../../../test/support/registry.ts";
import type { ProgressEvent, PushOptions } from "../image-store.ts";
import { failure } from "../testing/fake-registry.ts";
import { makeLayout } from "../testing/layout.ts";
import { must } from "../testing/programs.ts";
import { importOptions, smallTar, streamOf, tarFile, testSettings, testStore } from "../testing/store.ts";
import { tempDirectory } from "../testing/temp.ts";

// Other programs do much of the work, on a machine that may be busy.
setDefaultTimeout(120_000);

const quiet: PushOptions = { platform: "", onProgress: () => undefined };
let registry: TestRegistry;
let host = "";

beforeAll(async () => {
  registry = await startRegistry();
  host = registry.host;
});
afterAll(() => registry[Symbol.asyncDispose]());

/** The bytes of what a registry has under a name. */
async function raw(name: string): Promise<string> {
  return must("skopeo", "inspect", "--raw", "--tls-verify=false", `docker://${host}/${name}`);
}

test("an image is pushed as it was pulled, byte for byte, and borrows what is there", async () => {
  await using temp = await tempDirectory();
  await using own = await testStore();
  const layout = await makeLayout(temp.path, "v1");
  await registry.push(layout.path, "v1", "one/app:v1");
  const pulled = await own.store.pull(`${host}/one/app:v1`, quiet);
  await own.store.tag(pulled.id, `${host}/two/copy:v2`);
  const events: ProgressEvent[] = [];
  const pushed = await own.store.push(`${host}/two/copy:v2`, {
    ...quiet,
    onProgress: (event) => events.push(event),
  });
  expect(pulled.digests).toEqual([`${host}/one/app@${pushed.digest}`]);
  expect(await raw("two/copy:v2")).toBe(await raw("one/app:v1"));
  const said = events.map(({ status }) => status);
  expect(said[0]).toBe(`The push refers to repository [${host}/two/copy]`);
  expect(said.filter((status) => status === "Mounted from one/app").length).toBe(2);
  expect(said.at(-2)).toBe(`v2: digest: ${pushed.digest} size: ${pushed.size}`);
  expect(events.at(-1)?.aux).toEqual({ Tag: "v2", Digest: pushed.digest, Size: pushed.size });
  expect((await own.store.resolve(pulled.id)).digests).toContain(`${host}/two/copy@${pushed.digest}`);

  // Again: everything is there.
  events.length = 0;
  await own.store.push(`${host}/two/copy:v2`, { ...quiet, onProgress: (event) => events.push(event) });
  expect(events.filter(({ status }) => status === "Layer already exists").length).toBe(2);
});

test("an image made here goes to a registry in chunks, and other tools read it", async () => {
  await using own = await testStore({ ...testSettings, uploadChunkBytes: 100_000 });
  const content = Buffer.from(crypto.getRandomValues(new Uint8Array(60_000)))
    .toString("hex")
    .repeat(4);
  const tar = smallTar(tarFile("big", content), tarFile("small", "hello"));
  const image = await own.store.importTar(streamOf(tar), {
    ...importOptions,
    reference: `${host}/made/here:1`,
  });
  const events: ProgressEvent[] = [];
  const pushed = await own.store.push(`${host}/made/here:1`, {
    ...quiet,
    onProgress: (event) => events.push(event),
  });
  expect(events.some(({ status }) => status === "Pushing")).toBe(true);
  await using temp = await tempDirectory();
  await must(
    "skopeo",
    "copy",
    "--insecure-policy",
    "--preserve-digests",
    "--src-tls-verify=false",
    `docker://${host}/made/here:1`,
    `oci:${temp.path}/out:1`,
  );
  expect(await must("skopeo", "inspect", "--format", "{{.Digest}}", `oci:${temp.path}/out:1`)).toBe(
    `${pushed.digest}\n`,
  );
  await using other = await testStore();
  const back = await other.store.pull(`${host}/made/here@${pushed.digest}`, quiet);
  expect(back.id).toBe(image.id);
  expect(back.layers.map(({ diffId }) => diffId)).toEqual(image.layers.map(({ diffId }) => diffId));
});

test("an image for several platforms that was pulled whole is pushed whole, or in part", async () => {
  await using temp = await tempDirectory();
  await using own = await testStore();
  const layout = await makeLayout(temp.path, "v1");
  await must("umoci", "tag", "--image", `${layout.path}:v1`, "arm");
  await must(
    "umoci",
    "config",
    "--image",
    `${layout.path}:arm`,
    "--architecture",
    "arm64",
    "--config.cmd",
    "arm",
  );
  const work = [
    "buildah",
    "--root",
    `${temp.path}/b`,
    "--runroot",
    `${temp.path}/r`,
    "--storage-driver",
    "vfs",
    "manifest",
  ];
  await must(...work, "create", "list");
  for (const name of ["v1", "arm"]) await must(...work, "add", "list", `oci:${layout.path}:${name}`);
  await must(...work, "push", "--all", "--tls-verify=false", "list", `docker://${host}/multi/app:1`);

  const whole = await own.store.pull(`${host}/multi/app:1`, { ...quiet, platform: "all" });
  expect(whole.config.architecture).toBe("amd64");
  await own.store.tag(`${host}/multi/app:1`, `${host}/multi/copy:1`);
  const pushed = await own.store.push(`${host}/multi/copy:1`, quiet);
  expect(whole.digests).toEqual([`${host}/multi/app@${pushed.digest}`]);
  expect(await raw("multi/copy:1")).toBe(await raw("multi/app:1"));
  await own.store.push(`${host}/multi/copy:1`, { ...quiet, platform: "linux/arm64" });
  expect(JSON.parse(await raw("multi/copy:1")).layers).toBeArray();
  expect(
    await failure(own.store.push(`${host}/multi/copy:1`, { ...quiet, platform: "linux/s390x" })),
  ).toMatchObject({ code: "conflict" });

  // Pulled for one platform, the manifest of that one is pushed.
  await using single = await testStore();
  await single.store.pull(`${host}/multi/app:1`, quiet);
  await single.store.tag(`${host}/multi/app:1`, `${host}/multi/single:1`);
  await single.store.push(`${host}/multi/single:1`, quiet);
  expect(JSON.parse(await raw("multi/single:1")).layers).toBeArray();

  // When its names are gone, nothing of it stays.
  for (const name of ["multi/app:1", "multi/copy:1"])
    await own.store.remove(`${host}/${name}`, { force: false, inUse: () => undefined });
  expect(await own.store.list()).toEqual([]);
});

test("all tags of a repository are pulled and pushed by its name alone", async () => {
  await using temp = await tempDirectory();
  await using own = await testStore();
  const layout = await makeLayout(temp.path, "v1");
  for (const tag of ["a", "b"]) await registry.push(layout.path, "v1", `tags/app:${tag}`);
  const [image, ...others] = await own.store.pullAll(`${host}/tags/app`, quiet);
  expect(others).toEqual([]);
  expect(image?.references).toEqual([`${host}/tags/app:a`, `${host}/tags/app:b`]);
  for (const tag of ["a", "b"]) await own.store.tag(`${host}/tags/app:${tag}`, `${host}/tags/copy:${tag}`);
  expect((await own.store.pushAll(`${host}/tags/copy`, quiet)).map(({ tag }) => tag)).toEqual(["a", "b"]);
  expect(await raw("tags/copy:b")).toBe(await raw("tags/app:b"));
  for (const wrong of [
    own.store.pullAll(`${host}/tags/app:a`, quiet),
    own.store.pushAll(`${host}/tags/app:a`, quiet),
  ])
    expect(await failure(wrong)).toMatchObject({ code: "invalidReference" });
  expect(await failure(own.store.pushAll(`${host}/tags/none`, quiet))).toMatchObject({ code: "noSuchImage" });
});
