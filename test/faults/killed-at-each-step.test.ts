/**
 * The daemon is killed with SIGKILL right after each step of `run`, on both walls. The next daemon has to finish
 * or undo what the dead one began: nothing half-made may be left, and the same command has to work again.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { WallKind } from "../../src/contract/isolation.ts";
import { startDaemon, type TestDaemon } from "../support/daemon.ts";
import { findHalfMade } from "../support/half-made.ts";
import { until } from "../support/until.ts";

const createSteps = [
  "create:record",
  "create:network",
  "create:lease",
  "create:volumes",
  "create:directory",
  "create:settle",
];
const liveSteps = [
  "start:record",
  "start:network",
  "start:mounts",
  "start:create-sandbox",
  "start:attach",
  "start:start-sandbox",
  "start:settle",
  "exit:record",
  "exit:remove-sandbox",
  "remove:record",
  "remove:sandbox",
  "remove:directory",
  "remove:volumes",
  "remove:forget",
];
const timeout = 240_000;

let daemon: TestDaemon;

beforeAll(async () => {
  daemon = await startDaemon();
  await daemon.hullOk(["run", "--rm", "hull/tiny", "true"]);
}, timeout);
afterAll(async () => await daemon[Symbol.asyncDispose](), timeout);

async function killAfter(step: string, wall: WallKind): Promise<void> {
  await daemon.stop();
  await daemon.start({ HULL_FAILPOINT: `${step}:kill` });
  const command = [
    "run",
    "--rm",
    "--isolation",
    wall,
    "--name",
    "victim",
    "-v",
    "/anonymous",
    "hull/tiny",
    "echo",
    "hi",
  ];
  const client = daemon.hull(command);
  await daemon.ended();
  await client;
  await daemon.start();
}

async function expectNothingHalfMade(): Promise<void> {
  let found: string[] = [];
  await until(
    () => `nothing half-made is left, but there is:\n${found.join("\n")}`,
    async () => {
      found = await findHalfMade(daemon);
      return found.length === 0;
    },
  );
}

/** State by name of all workloads. */
async function states(): Promise<string> {
  return await daemon.hullOk(["ps", "-a", "--format", "{{.Names}} {{.State}}"]);
}

describe("a daemon killed while it creates", () => {
  test.each(createSteps)(
    "after %s leaves nothing half-made",
    async (step) => {
      await killAfter(step, "container");
      expect(await states()).toBe(step === "create:settle" ? "victim created" : "");
      await expectNothingHalfMade();
      if (step === "create:settle") await daemon.hullOk(["rm", "-v", "victim"]);
      expect(await daemon.hullOk(["volume", "ls", "-q"])).toBe("");
    },
    timeout,
  );
});

describe.each(["container", "vm"] as const)("a daemon killed while it runs, %s wall", (wall) => {
  test.each(liveSteps)(
    "after %s leaves nothing half-made, and the name is free",
    async (step) => {
      await killAfter(step, wall);
      await until("the workload is finished or undone", async () => (await states()) === "");
      await expectNothingHalfMade();
      expect(await daemon.hullOk(["volume", "ls", "-q"])).toBe("");
      const again = ["run", "--rm", "--name", "victim", "hull/tiny", "echo", "again"];
      expect(await daemon.hullOk(again)).toBe("again");
    },
    timeout,
  );
});

describe("a step that fails", () => {
  test.each([...createSteps, ...liveSteps.slice(0, 5)])(
    "%s: all before it is undone, and the same daemon works on",
    async (step) => {
      await daemon.stop();
      await daemon.start({ HULL_FAILPOINT: `${step}:error` });
      const command = ["run", "--name", "victim", "-v", "/anonymous", "hull/tiny", "echo", "hi"];
      const failed = await daemon.hull(command);
      expect(failed.code).toBe(125);
      expect(failed.stderr).toContain(`failpoint after step ${step}`);
      const left = step.startsWith("create:") ? "" : "victim created";
      expect(await states()).toBe(left);
      await expectNothingHalfMade();
      if (left !== "") await daemon.hullOk(["rm", "-v", "victim"]);
      expect(await daemon.hullOk(["volume", "ls", "-q"])).toBe("");
      expect(await daemon.hullOk(["run", "--rm", ...command.slice(1)])).toBe("hi");
    },
    timeout,
  );
});
