/** A machine that waits with the root of an image, against real ones: what it is given to, and what it is not. Emulation only. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, openSync, rmSync, utimesSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lendAcceleration } from "../../../../test/support/known-acceleration.ts";
import { rehearsalLayerWriter } from "../../../../test/support/rehearsal-layer.ts";
import { makeTinyLayer, type TinyLayer } from "../../../../test/support/tiny-layer.ts";
import { until } from "../../../../test/support/until.ts";
import { vmSpec, vmWallOptions } from "../../../../test/support/vm-wall.ts";
import type { LogFields, Logger } from "../../../contract/logger.ts";
import { NetworkNamespace } from "../../../host/network/namespace.ts";
import type { PreparedSandbox, SandboxSpec } from "../../wall.ts";
import { createVmWall, type VmWall } from "../vm-wall.ts";

const patience = 240_000;
const directory = mkdtempSync(join(tmpdir(), "wtg-"));
const said: { message: string; fields: LogFields }[] = [];
const say = (message: string, fields: LogFields = {}): void => void said.push({ message, fields });
const log: Logger = { debug: say, info: say, warn: say, error: say };
const resources = { memoryBytes: 0, cpus: 0, pids: 0 };
const places = (id: string) => ({
  directory: join(directory, `w-${id.slice(0, 12)}`),
  runtimeDirectory: join(directory, `r-${id.slice(0, 12)}`),
});

let layer: TinyLayer;
let wall: VmWall;
beforeAll(async () => {
  const stateDirectory = join(directory, "s");
  mkdirSync(stateDirectory);
  lendAcceleration(stateDirectory);
  layer = await makeTinyLayer();
  const guest = join(import.meta.dir, "../../../../.cache/guest");
  wall = createVmWall(
    vmWallOptions(stateDirectory, {
      log,
      writeRehearsalLayer: rehearsalLayerWriter(guest),
      pool: { size: 1, places },
    }),
  );
});
afterAll(async () => {
  await wall.close();
  await layer[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

/** Where the workload's machine came from. */
async function start(prepared?: PreparedSandbox): Promise<unknown> {
  const base = vmSpec({ directory, layers: [layer.path] }, "sleep 1000");
  const own = prepared === undefined ? {} : { id: prepared.id, ...places(prepared.id) };
  // As the engine has it: the name space stays, whatever becomes of the machine.
  const place = prepared?.namespace();
  using namespace = place === undefined ? undefined : new NetworkNamespace(openSync(place, "r"));
  const network = { namespace: namespace?.path, taps: [], interfaces: [], routes: [] };
  const spec: SandboxSpec = { ...base, ...own, ...(namespace === undefined ? {} : { network }) };
  const sandbox = await wall.create(spec);
  await sandbox.start();
  await sandbox.remove({ discard: true });
  return said.findLast(({ message }) => message === "a virtual machine is up")?.fields.from;
}

const asked = new Set<unknown>();

/** One with the image's root. Whoever asks keeps the next one from being made for a while, and so asks once. */
async function offered(): Promise<PreparedSandbox> {
  let found: PreparedSandbox | undefined;
  const waits = (): boolean => {
    const made = said.findLast(({ message }) => message === "a virtual machine waits for an image")?.fields;
    if (made?.layers === undefined || asked.has(made.id)) return false;
    asked.add(made.id);
    found = wall.prepared(resources, [layer.path]);
    return found?.id === made.id;
  };
  await until("one with the image's root is offered", waits, patience / 2);
  if (found === undefined) throw new Error("nothing is offered");
  return found;
}

test(
  "a machine with an image's root is for workloads of that image's files only, and goes with them",
  async () => {
    for (let time = 0; time < 2; time++) await start();
    expect(await start(await offered())).toBe("pool");

    const refused = await offered();
    const before = new Date(0);
    utimesSync(layer.path, before, before);
    expect(await start(refused)).toBe("template");
    const why = said.find(({ message }) => message.includes("that waited could not be used"))?.fields.why;
    expect(why).toBe("it has the root of another image");

    // The second start of the image that it is now.
    await start();
    const forgotten = await offered();
    await wall.forgetLayers([layer.path]);
    expect(forgotten.namespace()).toBeUndefined();
    expect(existsSync(places(forgotten.id).runtimeDirectory)).toBe(false);
    expect(await start()).toBe("template");
  },
  patience,
);
