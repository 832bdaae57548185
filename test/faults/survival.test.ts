/** The daemon is killed while workloads run; they go on, and the next daemon finds them as they are. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { startDaemon, type TestDaemon } from "../support/daemon.ts";
import { findHalfMade } from "../support/half-made.ts";
import { until } from "../support/until.ts";

const timeout = 240_000;
let daemon: TestDaemon;

beforeAll(async () => {
  daemon = await startDaemon();
}, timeout);
afterAll(async () => await daemon[Symbol.asyncDispose](), timeout);

async function stateOf(name: string): Promise<string> {
  return await daemon.hullOk(["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", name]);
}

describe.each(["container", "vm"] as const)("a killed daemon, %s wall", (wall) => {
  const name = (base: string) => `${base}-${wall}`;
  const run = (...args: string[]) => daemon.hullOk(["run", "-d", "--isolation", wall, ...args]);

  test(
    "leaves a running workload running: output, exec, signals and exit code as before",
    async () => {
      const script =
        'trap "exit 42" TERM; echo first; read line; echo "got $line"; while :; do sleep 0.1; done';
      await run("--name", name("steady"), "-i", "hull/tiny", "sh", "-c", script);
      await until("the first line is in the log", async () =>
        (await daemon.hullOk(["logs", name("steady")])).includes("first"),
      );
      await daemon.kill9();
      await daemon.start();
      expect(await stateOf(name("steady"))).toBe("running 0");
      expect(await daemon.hullOk(["exec", name("steady"), "echo", "inside"])).toBe("inside");
      const attached = daemon.spawnHull(["attach", name("steady")]);
      attached.process.stdin.write("a line\n");
      await attached.process.stdin.flush();
      await attached.waitForOutput(/got a line/);
      await daemon.hullOk(["stop", name("steady")]);
      await attached.result;
      expect(await stateOf(name("steady"))).toBe("exited 42");
      expect(await daemon.hullOk(["logs", name("steady")])).toBe("first\ngot a line");
    },
    timeout,
  );

  test(
    "learns the exit code and the output of what ended meanwhile",
    async () => {
      const script =
        "echo before; sleep 2; i=0; while [ $i -lt 500 ]; do echo line $i; i=$((i+1)); done; exit 7";
      await run("--name", name("brief"), "hull/tiny", "sh", "-c", script);
      await until("it has begun", async () =>
        (await daemon.hullOk(["logs", name("brief")])).includes("before"),
      );
      await daemon.kill9();
      await Bun.sleep(4000);
      await daemon.start();
      await until("it has ended", async () => (await stateOf(name("brief"))).startsWith("exited"));
      expect(await stateOf(name("brief"))).toBe("exited 7");
      const log = await daemon.hullOk(["logs", name("brief")]);
      expect(log.split("\n")).toHaveLength(501);
      expect(log.endsWith("line 499")).toBe(true);
    },
    timeout,
  );

  test(
    "takes an --rm workload away that ended meanwhile",
    async () => {
      await run("--rm", "--name", name("fleeting"), "hull/tiny", "sleep", "1");
      await daemon.kill9();
      await Bun.sleep(2500);
      await daemon.start();
      await until("it is gone", async () => {
        const names = await daemon.hullOk(["ps", "-a", "--format", "{{.Names}}"]);
        return !names.split("\n").includes(name("fleeting"));
      });
      expect(await findHalfMade(daemon)).toEqual([]);
    },
    timeout,
  );

  test(
    "keeps a workload's file system over its death and a restart of the workload",
    async () => {
      await run(
        "--name",
        name("writer"),
        "hull/tiny",
        "sh",
        "-c",
        "cat /mark; echo written > /mark; sleep 1000",
      );
      await until("the mark is there", async () =>
        (await daemon.hull(["exec", name("writer"), "cat", "/mark"])).stdout.includes("written"),
      );
      await daemon.kill9();
      await daemon.start();
      await daemon.hullOk(["restart", "-t", "0", name("writer")]);
      await until("the second run has read the mark", async () =>
        (await daemon.hullOk(["logs", name("writer")])).includes("written"),
      );
    },
    timeout,
  );
});
