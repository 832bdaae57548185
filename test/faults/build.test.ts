/** The daemon is killed while it builds: the next one has nothing of the build but what the cache keeps. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { startDaemon, type TestDaemon } from "../support/daemon.ts";
import { findHalfMade } from "../support/half-made.ts";
import { testTimeout } from "../support/scenario.ts";

setDefaultTimeout(testTimeout);

let daemon: TestDaemon;

beforeAll(async () => {
  daemon = await startDaemon();
});

afterAll(async () => {
  await daemon[Symbol.asyncDispose]();
});

describe.each(["container", "vm"] as const)("a killed daemon, %s wall", (wall) => {
  test("leaves nothing of a command that ran, and the next build goes on from the cache", async () => {
    const dockerfile = (last: string) => `FROM hull/tiny\nRUN echo ${wall} > /first\nRUN ${last}\n`;
    const running = daemon.spawnHull(["build", "--isolation", wall, "-"]);
    running.process.stdin.write(dockerfile("echo begun && sleep 600"));
    await running.process.stdin.end();
    await running.waitForOutput(/^begun/m, testTimeout);
    await daemon.kill9();
    expect((await running.result).code).not.toBe(0);
    await daemon.start();
    expect(await daemon.hullOk(["ps", "-aq"])).toBe("");
    expect(await findHalfMade(daemon)).toEqual([]);
    expect(await readdir(join(daemon.root, "content/temp"))).toEqual([]);
    const again = await daemon.hull(["build", "--isolation", wall, "-t", wall, "-"], {
      stdin: dockerfile("cp /first /second"),
    });
    expect(again.code).toBe(0);
    expect(again.stdout.match(/Using cache/g)).toHaveLength(1);
    expect(await daemon.hullOk(["run", "--rm", wall, "cat", "/second"])).toBe(wall);
  });
});

test("a build that is pruned meanwhile ends well, and what it freed is gone from the disk", async () => {
  const running = daemon.spawnHull(["build", "-t", "pruned", "-"]);
  running.process.stdin.write(
    "FROM hull/tiny\nRUN echo 1 > /1; echo begun; while [ ! -e /go ]; do sleep 0.1; done\nRUN cat /1 > /2\n",
  );
  await running.process.stdin.end();
  await running.waitForOutput(/^begun/m, testTimeout);
  await daemon.hullOk(["builder", "prune", "-a"]);
  await daemon.hullOk(["exec", await daemon.hullOk(["ps", "-q"]), "touch", "/go"]);
  expect((await running.result).code).toBe(0);
  expect(await daemon.hullOk(["run", "--rm", "pruned", "cat", "/2"])).toBe("1");
  await daemon.hullOk(["rmi", "pruned"]);
  await daemon.hullOk(["builder", "prune", "-a"]);
  const images = (await daemon.hullOk(["images", "-q"])).split("\n").filter((id) => id !== "");
  await daemon.hullOk(["rmi", "-f", ...images]);
  expect(await readdir(join(daemon.root, "layers"))).toEqual([]);
});
