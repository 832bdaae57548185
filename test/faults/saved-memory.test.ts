/**
 * The daemon is killed with SIGKILL right after each step of suspend, resume and fork. The next daemon finds the workload
 * running or suspended, never both, and it goes on where it was; of siblings there are whole ones or none.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { startDaemon, type TestDaemon } from "../support/daemon.ts";
import { findHalfMade } from "../support/half-made.ts";
import { until } from "../support/until.ts";

const timeout = 240_000;
const counter = "i=0; while :; do i=$((i+1)); echo $i > /dev/shm/count; sleep 0.05; done";

let daemon: TestDaemon;

beforeAll(async () => {
  daemon = await startDaemon();
  await daemon.hullOk(["run", "-d", "--isolation", "vm", "--name", "box", "hull/tiny", "sh", "-c", counter]);
}, timeout);
afterAll(async () => await daemon[Symbol.asyncDispose](), timeout);

async function counted(name: string, least: number): Promise<number> {
  let count = 0;
  await until(
    () => `${name} counts beyond ${least}, and not only to ${count}`,
    async () => {
      count = Number((await daemon.hull(["exec", name, "cat", "/dev/shm/count"])).stdout);
      return count > least;
    },
  );
  return count;
}

async function killAfter(step: string, ...command: string[]): Promise<void> {
  await daemon.stop();
  await daemon.start({ HULL_FAILPOINT: `${step}:kill` });
  const client = daemon.hull(command);
  await daemon.ended();
  await client;
  await daemon.start();
}

async function states(): Promise<string> {
  return await daemon.hullOk(["ps", "-a", "--format", "{{.Names}} {{.State}}"]);
}

/** The workload is what the test left it as, and nothing else is there; it then counts on. */
async function expectBox(state: "running" | "paused", before: number): Promise<void> {
  expect(await states()).toBe(`box ${state}`);
  if (state === "paused") await daemon.hullOk(["resume", "box"]);
  // It would have begun anew with 1.
  expect(await counted("box", before)).toBeGreaterThan(before);
  await until("nothing half-made is left", async () => (await findHalfMade(daemon)).length === 0);
}

describe("a daemon killed while it suspends", () => {
  test.each([
    ["save:frozen", "running"],
    ["save:stopped", "running"],
    ["suspend:written", "running"],
    ["suspend:committed", "paused"],
    ["suspend:sandbox", "paused"],
    ["suspend:settle", "paused"],
  ] as const)(
    "after %s leaves the workload %s",
    async (step, state) => {
      const before = await counted("box", 1);
      await killAfter(step, "suspend", "box");
      await expectBox(state, before);
    },
    timeout,
  );
});

describe("a daemon killed while it resumes", () => {
  test.each([
    ["resume:record", "paused"],
    ["resume:used", "running"],
    ["resume:sandbox", "running"],
    ["resume:settle", "running"],
  ] as const)(
    "after %s leaves the workload %s",
    async (step, state) => {
      const before = await counted("box", 1);
      await daemon.hullOk(["suspend", "box"]);
      await killAfter(step, "resume", "box");
      await expectBox(state, before);
    },
    timeout,
  );
});

describe("a daemon killed while it forks", () => {
  test.each([
    ...["fork:record", "fork:lease", "fork:directory"],
    ...["save:frozen", "save:stopped", "fork:disk", "fork:saved", "fork:sandboxes"],
  ])(
    "after %s leaves the parent running, and no sibling",
    async (step) => {
      const before = await counted("box", 1);
      await killAfter(step, "fork", "--name", "twin", "box");
      await expectBox("running", before);
    },
    timeout,
  );

  test(
    "after fork:settle leaves both running, and both go on",
    async () => {
      const before = await counted("box", 1);
      await killAfter("fork:settle", "fork", "--name", "twin", "box");
      expect((await states()).split("\n").sort()).toEqual(["box running", "twin running"]);
      for (const name of ["box", "twin"]) expect(await counted(name, before)).toBeGreaterThan(before);
      await daemon.hullOk(["rm", "-f", "twin"]);
    },
    timeout,
  );

  test(
    "in the end the disk is whole, under as many files as there were forks",
    async () => {
      await daemon.hullOk(["exec", "box", "sh", "-c", "echo kept > /kept"]);
      await daemon.hullOk(["restart", "-t", "0", "box"]);
      expect(await daemon.hullOk(["exec", "box", "cat", "/kept"])).toBe("kept");
    },
    timeout,
  );
});

test(
  "a step that fails leaves the workload running, or suspended and said to be so",
  async () => {
    for (const [step, command, state] of [
      ["save:frozen", "suspend", "running"],
      ["suspend:written", "suspend", "running"],
      ["suspend:committed", "suspend", "paused"],
      ["fork:disk", "fork", "running"],
      ["fork:saved", "fork", "running"],
    ] as const) {
      const before = await counted("box", 1);
      await daemon.stop();
      await daemon.start({ HULL_FAILPOINT: `${step}:error` });
      const failed = await daemon.hull([command, "box"]);
      expect([failed.code, failed.stderr]).toEqual([
        1,
        expect.stringContaining(`failpoint after step ${step}`),
      ]);
      await expectBox(state, before);
    }
  },
  timeout,
);
