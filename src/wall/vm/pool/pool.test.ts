/** Which machine is whose, and when one is nobody's any more; the machines themselves are in test/scenarios/pool.test.ts. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "../../../contract/logger.ts";
import type { SandboxSpec } from "../../wall.ts";
import { Pool, type PoolMachine, type PoolOptions } from "./pool.ts";

class FakeMachine implements PoolMachine {
  readonly spec: SandboxSpec;
  process: number | undefined = 7;
  readonly container = { pid: () => this.process };
  readonly #end = Promise.withResolvers<void>();
  readonly agent = { closed: this.#end.promise, close: () => this.#end.resolve() };

  constructor(spec: SandboxSpec) {
    this.spec = spec;
  }

  die(): void {
    this.process = undefined;
    this.#end.resolve();
  }
}

let directory = "";
let machines: FakeMachine[] = [];
let removed: string[] = [];
/** What the removal of a machine waits for. */
let removal: Promise<void> = Promise.resolve();

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "pool-"));
  machines = [];
  removed = [];
  removal = Promise.resolve();
});
afterEach(() => rmSync(directory, { recursive: true }));

function poolOf(changes: Partial<PoolOptions<FakeMachine>> = {}): Pool<FakeMachine> {
  return new Pool<FakeMachine>({
    size: 1,
    stateDirectory: directory,
    places: (id) => ({ directory: join(directory, "workloads", id), runtimeDirectory: join(directory, id) }),
    log: silentLogger,
    make: (spec) => {
      const machine = new FakeMachine(spec);
      machines.push(machine);
      return Promise.resolve(machine);
    },
    remove: async ({ id }) => {
      await removal;
      removed.push(id);
    },
    ...changes,
  });
}

const noted = (): string[] => readdirSync(join(directory, "pool"));

async function offered(pool: Pool<FakeMachine>) {
  await pool.fill();
  const offer = pool.offer([]);
  const machine = machines.at(-1);
  if (offer === undefined || machine === undefined) throw new Error("nothing waits");
  return { offer, machine };
}

test("what is offered is handed over once, and is noted until then", async () => {
  const pool = poolOf();
  const { offer, machine } = await offered(pool);
  expect(pool.offer([])).toBeUndefined();
  expect(offer.namespace()).toBe("/proc/7/ns/net");
  expect(noted()).toEqual([offer.id]);
  expect(await pool.take(offer.id)).toBe(machine);
  expect([noted(), await pool.take(offer.id)]).toEqual([[], undefined]);
  await pool.close();
  expect(removed).toEqual([]);
});

test("an offer that is given back waits for the next workload, unless another took its place", async () => {
  const pool = poolOf();
  const { offer } = await offered(pool);
  offer.giveBack();
  const again = pool.offer([]);
  expect(again?.id).toBe(offer.id);
  await pool.fill();
  again?.giveBack();
  while (removed.length === 0) await Bun.sleep(1);
  expect([removed, pool.waiting]).toEqual([[offer.id], 1]);
  offer.giveBack();
  expect(pool.waiting).toBe(1);
  await pool.close();
});

test("an offer that is over has no name space: another process may have the machine's number", async () => {
  const pool = poolOf({ keptFor: 1 });
  const { offer } = await offered(pool);
  while (removed.length === 0) await Bun.sleep(1);
  expect(offer.namespace()).toBeUndefined();
  expect(await pool.take(offer.id)).toBeUndefined();
  await pool.close();
});

test("whoever comes for a machine that is being taken away waits until nothing of it is left", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  removal = promise;
  const pool = poolOf();
  const { offer, machine } = await offered(pool);
  machine.die();
  await machine.agent.closed;
  await Bun.sleep(0);
  expect(offer.namespace()).toBeUndefined();
  const taken = pool.take(offer.id).then((found) => [found, [...removed]]);
  resolve();
  expect(await taken).toEqual([undefined, [offer.id]]);
  expect(noted()).toEqual([]);
  await pool.close();
});

test("what a daemon that was killed left is removed by the next one", async () => {
  const { offer } = await offered(poolOf());
  await poolOf().cleanUp();
  expect([removed, noted()]).toEqual([[offer.id], []]);
});

test("one that could not be made, or has ended, is replaced once somebody asks for one", async () => {
  let attempts = 0;
  const pool = new Pool<FakeMachine>({
    size: 1,
    stateDirectory: directory,
    places: (id) => ({ directory: id, runtimeDirectory: id }),
    log: silentLogger,
    make: (spec) => {
      if (attempts++ === 0) return Promise.reject(new Error("no memory"));
      machines.push(new FakeMachine(spec));
      return Promise.resolve(machines.at(-1) as FakeMachine);
    },
    remove: () => Promise.resolve(),
    refillPause: 1,
  });
  await pool.fill();
  expect(pool.offer([])).toBeUndefined();
  while (pool.waiting === 0) await Bun.sleep(1);
  // Its end is not known yet.
  for (const machine of machines) machine.process = undefined;
  expect(pool.offer([])).toBeUndefined();
  while (pool.waiting === 0) await Bun.sleep(1);
  expect(pool.offer([])?.id).toBe(machines[1]?.spec.id ?? "");
  await pool.close();
});

test("a machine that cannot be made leaves nothing", async () => {
  const pool = new Pool<FakeMachine>({
    size: 1,
    stateDirectory: directory,
    places: (id) => ({ directory: id, runtimeDirectory: id }),
    log: silentLogger,
    make: () => Promise.reject(new Error("no memory")),
    remove: ({ id }) => Promise.resolve(void removed.push(id)),
  });
  await pool.fill();
  expect([removed.length, noted(), pool.offer([])]).toEqual([1, [], undefined]);
  await pool.close();
});

const one = ["/layers/one"];
const other = ["/layers/base", "/layers/other"];
const third = ["/layers/third"];
const none: string[] = [];

/** Of images with templates, all but the third one. */
function poolOfImages(size: number): Pool<FakeMachine> {
  return poolOf({ size, canWaitWith: ([first]) => first !== third[0] });
}

/** Layers of the machines that have been made since the last call. */
function made(): (readonly string[])[] {
  return machines.splice(0).map(({ spec }) => spec.layers);
}

test("what is made is of the image that was started last, and for it only", async () => {
  const pool = poolOfImages(1);
  for (const layers of [other, one, third]) pool.started(layers);
  await pool.fill();
  expect(made()).toEqual([one]);
  expect([pool.offer(other), pool.offer(none), pool.waiting]).toEqual([undefined, undefined, 1]);
  expect(pool.offer([...one])).toBeDefined();
  await pool.close();
});

test("one of no image is for every image; of several, one always is", async () => {
  const pool = poolOfImages(3);
  await pool.fill();
  expect(made()).toEqual([none, none, none]);
  pool.started(one);
  await pool.fill();
  expect([made(), removed.length]).toEqual([[one], 1]);
  // The first one is its own, the others are those of none.
  const ids = [pool.offer(one), pool.offer(one), pool.offer(third)].map((offer) => offer?.id);
  expect(new Set(ids).size).toBe(3);
  await pool.fill();
  expect(made()).toEqual([one, one, none]);
  await pool.close();
});

test("an image without a machine is given that of the one that was started longest ago, once", async () => {
  const pool = poolOfImages(3);
  pool.started(one);
  await pool.fill();
  expect(made()).toEqual([one, one, none]);
  pool.started(other);
  await pool.fill();
  expect([made(), removed.length]).toEqual([[other], 1]);
  // Both have one by now, whichever is started.
  for (const layers of [one, other, one, third]) {
    pool.started(layers);
    await pool.fill();
  }
  expect([made(), removed.length]).toEqual([[], 1]);
  const another = ["/layers/another"];
  pool.started(another);
  await pool.fill();
  expect([made(), removed.length]).toEqual([[another], 2]);
  expect(pool.offer(one)?.id).toBeDefined();
  const [last] = [pool.offer(other), pool.offer(none)];
  expect(removed).not.toContain(last?.id ?? "");
  expect(pool.waiting).toBe(1);
  await pool.close();
});

test("machines go with their layers: those that wait, are offered, or are being made", async () => {
  let finish = (): void => undefined;
  const made: string[] = [];
  const pool = poolOf({
    size: 1,
    canWaitWith: () => true,
    make: async (spec) => {
      made.push(...spec.layers);
      if (spec.layers === third) await new Promise<void>((resolve) => (finish = resolve));
      return new FakeMachine(spec);
    },
  });
  pool.started(other);
  await pool.fill();
  await pool.forgetLayers(["/layers/unused", "/layers/base"]);
  expect([removed.length, pool.waiting]).toEqual([1, 0]);
  pool.started(one);
  await pool.fill();
  const offer = pool.offer(one);
  await pool.forgetLayers(one);
  expect([removed.length, offer?.namespace()]).toEqual([2, undefined]);
  pool.started(third);
  const filled = pool.fill();
  while (made.at(-1) !== third[0]) await Bun.sleep(1);
  const forgotten = pool.forgetLayers(third);
  finish();
  await forgotten;
  expect(removed.length).toBe(3);
  await filled;
  // Of the images that were started, none is there any more.
  expect([pool.waiting, made]).toEqual([1, ["/layers/base", "/layers/other", ...one, ...third]]);
  await pool.close();
});
