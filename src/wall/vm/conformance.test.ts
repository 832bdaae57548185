import { afterAll, beforeAll } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { keepAcceleration, lendAcceleration } from "../../../test/support/known-acceleration.ts";
import { makeTinyLayer, type TinyLayer } from "../../../test/support/tiny-layer.ts";
import { vmWallOptions } from "../../../test/support/vm-wall.ts";
import { describeWall } from "../conformance.ts";
import { createVmWall } from "./vm-wall.ts";

const stateDirectory = mkdtempSync(join(tmpdir(), "vm-wall-"));
let layer: TinyLayer | undefined;

beforeAll(async () => {
  layer = await makeTinyLayer();
});

afterAll(async () => {
  keepAcceleration(stateDirectory);
  await layer?.[Symbol.asyncDispose]();
  rmSync(stateDirectory, { recursive: true, force: true });
});

lendAcceleration(stateDirectory);
describeWall("vm", {
  makeWall: () => createVmWall(vmWallOptions(stateDirectory)),
  layers: () => (layer === undefined ? [] : [layer.path]),
  timeout: 180_000,
  killMonitor: (sandbox) => {
    const qemu = sandbox.pid();
    if (qemu === undefined) throw new Error("no QEMU is running");
    process.kill(qemu, "SIGKILL");
  },
  hasKernel: true,
  savesMemory: true,
});
