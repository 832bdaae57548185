/** What a guest frees goes back to the host, although its memory is a private copy of a template's sealed file. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lendAcceleration } from "../../../test/support/known-acceleration.ts";
import { makeTinyLayer, type TinyLayer } from "../../../test/support/tiny-layer.ts";
import { until } from "../../../test/support/until.ts";
import { vmSpec, vmWallOptions } from "../../../test/support/vm-wall.ts";
import type { Sandbox, SandboxSpec } from "../wall.ts";
import { consoleTail } from "./console.ts";
import { layoutOf } from "./layout.ts";
import { createVmWall, type VmWall } from "./vm-wall.ts";

const patience = 180_000;
const mebibyte = 1024 * 1024;
const directory = mkdtempSync(join(tmpdir(), "free-"));
let layer: TinyLayer;
let wall: VmWall;
beforeAll(async () => {
  layer = await makeTinyLayer();
  mkdirSync(join(directory, "s"));
  lendAcceleration(join(directory, "s"));
  wall = createVmWall(vmWallOptions(join(directory, "s")));
});
afterAll(async () => {
  await wall.close();
  await layer[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

function spec(): SandboxSpec {
  const resources = { memoryBytes: 200 * mebibyte, cpus: 0, pids: 0 };
  return vmSpec({ directory, layers: [layer.path] }, "exec sleep 1000", { resources });
}

/** QEMU's own memory is not spent on a disassembler, or on huge pages of which it uses a corner (guest/jail). */
function expectLean(pid: number | undefined): void {
  const areas = readFileSync(`/proc/${pid}/smaps`, "utf8").split(/\n(?=[0-9a-f]+-[0-9a-f]+ )/);
  expect(areas.length).toBeGreaterThan(100);
  expect(areas.filter((area) => area.includes("libcapstone"))).toEqual([]);
  const kibibytes = (area: string, field: string) =>
    Number(new RegExp(`^${field}: +(\\d+) kB$`, "m").exec(area)?.[1]);
  const small = areas.filter((area) => kibibytes(area, "Size") <= 2048);
  expect(small.filter((area) => kibibytes(area, "AnonHugePages") > 0)).toEqual([]);
}

/** Takes 100 MiB, writes to all of it, and is gone. */
async function takeAndFree(sandbox: Sandbox): Promise<number> {
  const process = {
    ...sandbox.spec.process,
    args: ["dd", "if=/dev/zero", "of=/dev/null", "bs=100M", "count=2"],
  };
  const session = await sandbox.exec({ id: sandbox.spec.id, attach: false, process });
  return (await session.wait()).code;
}

test(
  "100 MiB that a guest has used and freed are the host's again",
  async () => {
    const sandbox = await wall.create(spec());
    try {
      await sandbox.start();
      expectLean(sandbox.pid());
      const cost = async () => (await sandbox.stats()).memoryBytes / mebibyte;
      const before = await cost();
      let most = before;
      let done = false;
      const working = takeAndFree(sandbox).finally(() => {
        done = true;
      });
      while (!done) most = Math.max(most, await cost());
      expect(await working).toBe(0);
      expect(most - before).toBeGreaterThan(80);
      // What stays is what it left in pieces, and code that QEMU has translated.
      await until("freed memory is the host's again", async () => (await cost()) < most - 60);
      // QEMU 8.2 and later cannot know that the file is sealed (guest/jail/discard.c).
      const said = consoleTail(layoutOf(sandbox.spec).console).split("\n");
      expect(said.filter((line) => line !== "" && !line.includes("Discarding RAM in private file"))).toEqual(
        [],
      );
    } finally {
      await sandbox.remove();
    }
  },
  patience,
);
