/** What is left of a machine that was taken away, in the daemon and on the host. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lendAcceleration } from "../../../test/support/known-acceleration.ts";
import { makeTinyLayer, type TinyLayer } from "../../../test/support/tiny-layer.ts";
import { vmSpec, vmWallOptions } from "../../../test/support/vm-wall.ts";
import type { SandboxSpec } from "../wall.ts";
import { createVmWall, type VmWall } from "./vm-wall.ts";

const directory = mkdtempSync(join(tmpdir(), "removal-"));
let layer: TinyLayer;
let wall: VmWall;

const options = vmWallOptions(directory, { templates: false });

beforeAll(async () => {
  lendAcceleration(directory);
  layer = await makeTinyLayer();
  wall = createVmWall(options);
});
afterAll(async () => {
  await wall.close();
  await layer[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true });
});

function specOf(): SandboxSpec {
  return vmSpec({ directory, layers: [layer.path] }, "sleep 1000");
}

test("a daemon keeps nothing of the machines that it has taken away", async () => {
  const sandboxes: WeakRef<object>[] = [];
  while (sandboxes.length < 20) {
    const spec = specOf();
    // As a daemon finds it that was killed before there was a jail.
    mkdirSync(spec.runtimeDirectory);
    const sandbox = await wall.recover(spec);
    if (sandbox === undefined) throw new Error("nothing was found");
    await sandbox.remove();
    expect(existsSync(spec.runtimeDirectory)).toBe(false);
    sandboxes.push(new WeakRef(sandbox));
  }
  await Bun.sleep(0);
  Bun.gc(true);
  // The collector may take something on the stack for one of them.
  const kept = sandboxes.filter((each) => each.deref() !== undefined).length;
  expect(kept).toBeLessThan(sandboxes.length / 2);
});

test("a machine that was made for files, and cannot be ended in order, leaves nothing", async () => {
  const spec = specOf();
  const opened = await wall.openFiles(spec);
  expect((await opened.files.status("/bin")).type).toBe("directory");
  const sandbox = await wall.recover(spec);
  process.kill(sandbox?.pid() ?? 0, "SIGKILL");
  await expect(opened[Symbol.asyncDispose]()).rejects.toMatchObject({ code: "agentFailed" });
  expect(existsSync(spec.runtimeDirectory)).toBe(false);
}, 180_000);

test("a daemon that ends does not wait for a template that machines are to wait with", async () => {
  const places = (id: string) => ({
    directory: join(directory, id),
    runtimeDirectory: join(directory, `r${id}`),
  });
  const ending = createVmWall({ ...options, templates: true, pool: { size: 1, places } });
  const filled = ending.fillPool();
  const builds = join(directory, "builds");
  while (!existsSync(builds) || readdirSync(builds).length === 0) await Bun.sleep(5);
  await ending.close();
  await filled;
  expect(existsSync(options.templateDirectory)).toBe(false);
  expect(readdirSync(builds)).toEqual([]);
}, 180_000);
