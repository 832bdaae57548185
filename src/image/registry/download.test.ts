/** A real registry behind a proxy that breaks off, lies, is busy or trickles. */
import { afterAll, beforeAll, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { statSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { type Fault, faultyProxy, type ProxiedRequest } from "../../../test/support/faulty-proxy.ts";
import { startRegistry, type TestRegistry } from "../../../test/support/registry.ts";
import type { ProgressEvent, PullOptions } from "../image-store.ts";
import { failure } from "../testing/fake-registry.ts";
import {
  contentOf,
  importOptions,
  smallTar,
  streamOf,
  tarFile,
  testSettings,
  testStore,
} from "../testing/store.ts";

setDefaultTimeout(60_000);

const quiet: PullOptions = { platform: "", onProgress: () => undefined };
let registry: TestRegistry;
/** Digests of the layer, as it is pushed and unpacked. */
let layer = "";
let diffId = "";

/** One image with one layer of which more than 300,000 bytes are sent. */
beforeAll(async () => {
  registry = await startRegistry();
  await using own = await testStore();
  const random = () => Buffer.from(crypto.getRandomValues(new Uint8Array(60_000))).toString("hex");
  const content = Array.from({ length: 5 }, random).join("");
  const reference = `${registry.host}/x/y:1`;
  await own.store.importTar(streamOf(smallTar(tarFile("big", content))), { ...importOptions, reference });
  await own.store.push(reference, quiet);
  diffId = (await own.store.resolve(reference)).layers[0]?.diffId ?? "";
  const blobs = join(own.root, "content/blobs/sha256");
  const sizes = (await readdir(blobs)).map((name) => ({ name, size: statSync(join(blobs, name)).size }));
  layer = `sha256:${sizes.toSorted((a, b) => b.size - a.size)[0]?.name}`;
});
afterAll(() => registry[Symbol.asyncDispose]());

let faults: Fault[] = [];
beforeEach(() => {
  faults = [];
});

/** The next of `faults` is for each request of the layer. */
const inTurn = (request: ProxiedRequest): Fault | undefined =>
  request.path.endsWith(layer) ? faults.shift() : undefined;

test("a download that breaks off goes on from there", async () => {
  await using proxy = await faultyProxy(registry.host, inTurn);
  await using own = await testStore();
  const read = Promise.withResolvers<void>();
  faults = [{ breakAnswerAfter: 100_000, breakWhen: read.promise }, { breakAnswerAfter: 50_000 }];
  const image = await own.store.pull(`${proxy.host}/x/y:1`, {
    ...quiet,
    onProgress: ({ status }) => {
      if (status === "Downloading") read.resolve();
    },
  });
  expect(image.layers[0]?.diffId).toBe(diffId as never);
  const ranges = proxy.requests
    .filter(({ path }) => path.endsWith(layer))
    .map(({ headers }) => headers.range);
  expect(ranges).toEqual([
    undefined,
    expect.stringMatching(/^bytes=[1-9]\d*-$/),
    expect.stringMatching(/^bytes=[1-9]\d*-$/),
  ]);
});

test("so does one from a registry without ranges, by reading what is known again", async () => {
  await using proxy = await faultyProxy(registry.host, inTurn);
  await using own = await testStore();
  faults = [{ breakAnswerAfter: 100_000 }, { without: "range" }];
  expect((await own.store.pull(`${proxy.host}/x/y:1`, quiet)).layers[0]?.diffId).toBe(diffId as never);
});

test("a registry that is busy or broken for a while is asked again, when it says", async () => {
  await using proxy = await faultyProxy(registry.host, inTurn);
  await using own = await testStore();
  faults = [
    { answer: ["503 Service Unavailable"] },
    { answer: ["429 Too Many Requests", "Retry-After: 1"] },
    { answer: ["500 Internal Server Error"] },
  ];
  const events: ProgressEvent[] = [];
  await own.store.pull(`${proxy.host}/x/y:1`, { ...quiet, onProgress: (event) => events.push(event) });
  expect(events.map(({ status }) => status)).toContain("Retrying in 1 seconds");
  expect(proxy.requests.filter(({ path }) => path.endsWith(layer)).length).toBe(4);
});

test("what fails again and again is told with image, layer and cause, and leaves nothing", async () => {
  const layerOf = (host: string) => `registry ${host}: layer ${layer.slice(7, 19)} of ${host}/x/y:1: `;
  const cases: [Fault, string, (host: string) => string][] = [
    [{ breakAnswerAfter: 0 }, "registry", layerOf],
    [{ claimedLength: 1000 }, "registry", (host) => `${layerOf(host)}5000 of`],
    [{ answer: ["500 Internal Server Error"] }, "registry", (host) => `${layerOf(host)}it answers 500`],
    [
      { answer: ["429 Too Many Requests", "Retry-After: 3600"] },
      "registry",
      (host) =>
        `${layerOf(host)}too many requests: try again later (it answers 429; it asks to wait 3600 seconds)`,
    ],
    [{ answer: ["404 Not Found"] }, "registry", () => "is missing there"],
    [{ wrongByte: 200_000 }, "digestMismatch", () => `layer ${layer.slice(7, 19)} of`],
  ];
  for (const [fault, code, words] of cases) {
    await using proxy = await faultyProxy(registry.host, ({ path }) =>
      path.endsWith(layer) ? fault : undefined,
    );
    await using own = await testStore();
    const error = await failure(own.store.pull(`${proxy.host}/x/y:1`, quiet));
    expect(error).toMatchObject({ code });
    expect(String(error)).toContain(words(proxy.host));
    expect(await contentOf(own.root)).toEqual([]);
    expect(await own.store.list()).toEqual([]);
  }
});

test("a registry that trickles does not hold a download for ever", async () => {
  const trickling: Fault = { trickleAfter: 100_000 };
  const patience = { ...testSettings.patience, attempts: 2, stall: { milliseconds: 150, bytes: 10_000 } };
  await using proxy = await faultyProxy(registry.host, inTurn);
  await using own = await testStore({ ...testSettings, patience });
  faults = [trickling];
  await own.store.pull(`${proxy.host}/x/y:1`, quiet);
  expect(proxy.requests.at(-1)?.headers.range).toMatch(/^bytes=100\d\d\d-$/);

  await using always = await faultyProxy(registry.host, ({ path }) =>
    path.endsWith(layer) ? { trickleAfter: 0 } : undefined,
  );
  await using other = await testStore({ ...testSettings, patience });
  const error = await failure(other.store.pull(`${always.host}/x/y:1`, quiet));
  expect(String(error)).toMatch(/layer [0-9a-f]{12} of .*: no more than \d+ bytes came in 0.15 seconds/);
});

test("an upload that breaks off goes on from what arrived", async () => {
  await using own = await testStore({ ...testSettings, uploadChunkBytes: 100_000 });
  await own.store.pull(`${registry.host}/x/y:1`, quiet);
  let breaks = 2;
  await using proxy = await faultyProxy(registry.host, ({ method, headers }) =>
    method === "PATCH" && Number(headers["content-length"]) > 50_000 && breaks-- > 0
      ? { breakRequestAfter: 50_000 }
      : undefined,
  );
  await own.store.tag(`${registry.host}/x/y:1`, `${proxy.host}/up/load:1`);
  const { digest } = await own.store.push(`${proxy.host}/up/load:1`, quiet);
  expect((await own.store.resolve(`${registry.host}/x/y:1`)).digests).toContain(
    `${registry.host}/x/y@${digest}`,
  );
  await using other = await testStore();
  await other.store.pull(`${registry.host}/up/load@${digest}`, quiet);
});

test("an upload to a registry that takes no chunks, or loses its sessions, is made in one piece or anew", async () => {
  await using own = await testStore({ ...testSettings, uploadChunkBytes: 100_000 });
  await own.store.pull(`${registry.host}/x/y:1`, quiet);
  await using proxy = await faultyProxy(registry.host, ({ method }) =>
    method === "PATCH" ? { answer: ["405 Method Not Allowed"] } : undefined,
  );
  await own.store.tag(`${registry.host}/x/y:1`, `${proxy.host}/one/piece:1`);
  await own.store.push(`${proxy.host}/one/piece:1`, quiet);
  let lost = 1;
  await using forgetful = await faultyProxy(registry.host, ({ method }) =>
    method === "PUT" && lost-- > 0 ? { answer: ["404 Not Found"] } : undefined,
  );
  await own.store.tag(`${registry.host}/x/y:1`, `${forgetful.host}/any/how:1`);
  await own.store.push(`${forgetful.host}/any/how:1`, quiet);
  await using other = await testStore();
  for (const name of ["one/piece", "any/how"]) await other.store.pull(`${registry.host}/${name}:1`, quiet);
});
