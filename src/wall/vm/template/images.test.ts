import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "../../../contract/logger.ts";
import { createMemoryFile, sealMemoryFile } from "../../../host/memory-file.ts";
import { ImageTemplates, type ImageTemplatesOptions, type RootedSize } from "./images.ts";

const directory = mkdtempSync(join(tmpdir(), "img-"));
afterAll(() => rmSync(directory, { recursive: true }));

function rootedOf(name: string, base = "base"): RootedSize {
  const path = join(directory, name);
  writeFileSync(path, name);
  return {
    base,
    size: { memoryBytes: 4096, processors: 1, layerPlaces: 6 },
    layers: [path],
    process: {
      ...{ args: ["true"], env: [], cwd: "/", user: "", capabilities: [] },
      ...{ terminal: false, stdin: false, stdinOnce: false },
    },
  };
}

function memoryFile(): number {
  const file = createMemoryFile("test", 4096);
  sealMemoryFile(file);
  return file;
}

/** Counts what is made; each takes 100 bytes. */
function makeTemplates(options: Partial<ImageTemplatesOptions> = {}) {
  const made: string[] = [];
  const templates = new ImageTemplates({
    make: async (_, { layers }) => {
      made.push(layers[0]?.split("/").at(-1) ?? "");
      await Bun.sleep(1);
      return {
        ...{ memory: memoryFile(), disk: memoryFile(), memoryBytes: 4096, usedBytes: 90 },
        devices: Buffer.alloc(10),
      };
    },
    log: silentLogger,
    pause: 0,
    ...options,
  });
  const has = async (rooted: RootedSize): Promise<boolean> => {
    using lease = await templates.lease(rooted);
    return lease !== undefined;
  };
  const start = async (rooted: RootedSize): Promise<void> => {
    await templates.started(rooted);
    await templates.settled();
  };
  return { templates, made, has, start };
}

test("the second start of an image has its template made, once", async () => {
  const { templates, made, has, start } = makeTemplates();
  const [one, other] = [rootedOf("one"), rootedOf("other")];
  for (const rooted of [one, other]) {
    await start(rooted);
    expect(await has(rooted)).toBe(false);
  }
  for (let more = 0; more < 3; more++) await start(one);
  expect(made).toEqual(["one"]);
  expect(await has(one)).toBe(true);
  expect(await has(other)).toBe(false);
  // Another size, and a layer that was made anew.
  expect(await has({ ...one, base: "another" })).toBe(false);
  rmSync(one.layers[0] ?? "");
  writeFileSync(one.layers[0] ?? "", "one, made anew");
  expect(await has(one)).toBe(false);
  await templates.close();
});

test("the one that was not used for longest goes when there are too many", async () => {
  const { templates, has, start } = makeTemplates({ limit: 250 });
  const [first, second, third] = ["first", "second", "third"].map((name) => rootedOf(name));
  if (first === undefined || second === undefined || third === undefined) throw new Error("too few");
  for (const rooted of [first, first, second, second]) await start(rooted);
  expect([await has(second), await has(first)]).toEqual([true, true]);
  for (const rooted of [third, third]) await start(rooted);
  expect([await has(first), await has(second), await has(third)]).toEqual([true, false, true]);
  await templates.close();
  expect(await has(first)).toBe(false);
});

test("what cannot be made, or does not work, is not made again", async () => {
  let tries = 0;
  const failing = makeTemplates({ make: () => Promise.reject(new Error(`no ${++tries}`)) });
  const rooted = rootedOf("failing");
  for (let count = 0; count < 5; count++) await failing.start(rooted);
  expect(tries).toBe(1);
  await failing.templates.close();

  const { templates, made, has, start } = makeTemplates();
  for (let count = 0; count < 2; count++) await start(rooted);
  const lease = await templates.lease(rooted);
  if (lease === undefined) throw new Error("there is no template");
  // Of one that the image has no longer.
  templates.forget({ key: lease.key, image: { ...lease.image } });
  expect(await has(rooted)).toBe(true);
  templates.forget(lease);
  lease[Symbol.dispose]();
  for (let count = 0; count < 3; count++) await start(rooted);
  expect(made.length).toBe(1);
  expect(await has(rooted)).toBe(false);
  await templates.close();
});

test("a QEMU that cannot be kept is not tried again, and the log says so once", async () => {
  const tried: boolean[] = [];
  const said: string[] = [];
  const log = { ...silentLogger, info: (message: string) => void said.push(message) };
  let forGood = false;
  const { templates, start, has } = makeTemplates({
    log,
    make: async (_, { asProcess = true }) => {
      tried.push(asProcess);
      return {
        ...{ memory: memoryFile(), disk: memoryFile(), memoryBytes: 4096, usedBytes: 90 },
        ...{ devices: Buffer.alloc(10), notProcess: { why: "it has timers", forGood } },
      };
    },
  });
  const [passing, first, second, waiting] = ["p", "f", "s", "w"].map((name) => rootedOf(name));
  if (passing === undefined || first === undefined || second === undefined || waiting === undefined)
    throw new Error("too few");
  for (const rooted of [passing, passing]) await start(rooted);
  expect(said).toEqual([]);
  forGood = true;
  // Machines that wait are copies of a process, or of their size's template.
  expect(await templates.provide(waiting)).toBeUndefined();
  expect(await has(waiting)).toBe(false);
  for (const rooted of [first, first, second, second]) await start(rooted);
  expect(await templates.provide(waiting)).toBeUndefined();
  expect([await has(first), await has(second)]).toEqual([true, true]);
  expect(tried).toEqual([true, true, false, false]);
  expect(said.length).toBe(1);
  // Another size has another layout.
  const other = rootedOf("o", "another");
  for (const rooted of [other, other]) await start(rooted);
  expect(tried.at(-1)).toBe(true);
  await templates.close();
});

test("those of a template that is taken away go with it, and come again", async () => {
  const { templates, made, has, start } = makeTemplates();
  const [one, other] = [rootedOf("mine", "a"), rootedOf("mine", "b")];
  for (const rooted of [one, one, other, other]) await start(rooted);
  templates.forgetThoseOf("a");
  expect([await has(one), await has(other)]).toEqual([false, true]);
  await start(one);
  expect(await has(one)).toBe(true);
  expect(made.length).toBe(3);
  await templates.close();
});

test("the end abandons what is being made", async () => {
  const { templates } = makeTemplates({
    make: (_, __, signal) => new Promise((_resolve, reject) => signal.addEventListener("abort", reject)),
  });
  const rooted = rootedOf("abandoned");
  for (let count = 0; count < 2; count++) await templates.started(rooted);
  await templates.close();
  expect(await templates.lease(rooted)).toBeUndefined();
});

test("those of layers that are no more go, and an image's machines can wait while it has a process", async () => {
  const memory = memoryFile();
  const { templates, has, start } = makeTemplates({
    make: async () => ({
      ...{ memory, disk: memoryFile(), memoryBytes: 4096, usedBytes: 90 },
      ...{ devices: Buffer.alloc(0), process: memoryFile() },
    }),
  });
  const [gone, other] = [rootedOf("gone"), rootedOf("stays")];
  await start(gone);
  expect(templates.hasProcess(gone)).toBe(false);
  await start(gone);
  expect([templates.hasProcess(gone), templates.hasProcess(other)]).toEqual([true, false]);
  expect(templates.hasProcess({ ...gone, size: { ...gone.size, processors: 2 } })).toBe(false);
  await templates.forgetLayers(other.layers);
  expect(await has(gone)).toBe(true);
  await templates.forgetLayers(gone.layers);
  expect([templates.hasProcess(gone), await has(gone)]).toEqual([false, false]);
  await templates.close();
});

test("what is being made of layers that are no more is abandoned, and so is what was to be made next", async () => {
  const begun = Promise.withResolvers<void>();
  const made: string[] = [];
  const { templates, has } = makeTemplates({
    make: (_, { layers }, signal) => {
      made.push(layers[0] ?? "");
      begun.resolve();
      return new Promise((_resolve, reject) => signal.addEventListener("abort", reject));
    },
  });
  const [first, second] = [rootedOf("unmade"), rootedOf("unmade-next")];
  for (let count = 0; count < 2; count++) await templates.started(first);
  await begun.promise;
  for (let count = 0; count < 2; count++) await templates.started(second);
  await templates.forgetLayers(second.layers);
  await templates.forgetLayers(first.layers);
  await templates.settled();
  expect(made).toEqual(first.layers.slice());
  expect([await has(first), await has(second)]).toEqual([false, false]);
  await templates.close();
});

test("a process of files that are others by now is forgotten", async () => {
  const { templates, has, start } = makeTemplates({
    make: async () => ({
      ...{ memory: memoryFile(), disk: memoryFile(), memoryBytes: 4096, usedBytes: 90 },
      ...{ devices: Buffer.alloc(0), process: memoryFile() },
    }),
  });
  const rooted = rootedOf("changed");
  for (let count = 0; count < 2; count++) await start(rooted);
  expect(templates.hasProcess(rooted)).toBe(true);
  templates.forgetProcesses(rooted);
  expect([templates.hasProcess(rooted), await has(rooted)]).toEqual([false, false]);
  await templates.close();
});

test("a start that needed no template of its image keeps it from going", async () => {
  const { templates, has, start } = makeTemplates({ limit: 250 });
  const [first, second, third] = ["used", "unused", "last"].map((name) => rootedOf(name));
  if (first === undefined || second === undefined || third === undefined) throw new Error("too few");
  for (const rooted of [first, first, second, second, first, third, third]) await start(rooted);
  expect([await has(first), await has(second), await has(third)]).toEqual([true, false, true]);
  await templates.close();
});

test("an image whose second start comes while another's template is being made has its own made after that", async () => {
  const { templates, made, has } = makeTemplates();
  const [one, other] = [rootedOf("sooner"), rootedOf("later")];
  for (const rooted of [one, one, other, other]) await templates.started(rooted);
  await templates.settled();
  expect(made).toEqual(["sooner", "later"]);
  expect([await has(one), await has(other)]).toEqual([true, true]);
  await templates.close();
});
