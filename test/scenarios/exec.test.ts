import { beforeAll, expect, test } from "bun:test";
import { onBothWalls, testTimeout } from "../support/scenario.ts";
import { until } from "../support/until.ts";

onBothWalls("exec", ({ wall, ok, hull, name, daemon }) => {
  const box = name("exec");
  // A shell as PID 1 reaps what was orphaned, as an image's init has to.
  const shell = ["sh", "-c", "while :; do sleep 1; done"];

  beforeAll(async () => {
    await ok(["run", "-d", "--isolation", wall, "--name", box, "-e", "A=from-run", "hull/tiny", ...shell]);
  }, testTimeout);

  test(
    "keeps streams apart, gives the exit code, and sees the workload's processes",
    async () => {
      const result = await hull(["exec", box, "sh", "-c", "echo out; echo err >&2; exit 3"]);
      expect(result).toMatchObject({ code: 3, stdout: "out\n", stderr: "err\n" });
      expect(await ok(["exec", box, "sh", "-c", "cat /proc/[0-9]*/comm"])).toContain("sleep");
    },
    testTimeout,
  );

  test(
    "takes environment, working directory and user",
    async () => {
      const flags = ["-e", "B=from-exec", "-w", "/tmp", "-u", "1000:1001"];
      const output = await ok(["exec", ...flags, box, "sh", "-c", "echo $A $B; pwd; id -u; id -g"]);
      expect(output).toBe("from-run from-exec\n/tmp\n1000\n1001");
    },
    testTimeout,
  );

  test(
    "pipes standard input with its end, byte for byte",
    async () => {
      const input = crypto.getRandomValues(new Uint8Array(65_000));
      const result = await hull(["exec", "-i", box, "cat"], { stdin: input });
      expect(Bun.hash(result.stdoutBytes)).toBe(Bun.hash(input));
      expect(result.code).toBe(0);
    },
    testTimeout,
  );

  test(
    "-d returns at once and the program goes on",
    async () => {
      await ok(["exec", "-d", box, "sh", "-c", "sleep 0.3; echo done > /detached"]);
      await until("the detached program has ended", async () => {
        const result = await hull(["exec", box, "cat", "/detached"]);
        return result.stdout === "done\n";
      });
    },
    testTimeout,
  );

  test(
    "many at once do not mix their output",
    async () => {
      const numbers = Array.from({ length: 6 }, (_, index) => index);
      const script = (number: number) => `for i in 1 2 3 4 5; do echo ${number}; done`;
      const results = await Promise.all(numbers.map((each) => ok(["exec", box, "sh", "-c", script(each)])));
      expect(results).toEqual(
        numbers.map((each) => Array.from({ length: 5 }, () => String(each)).join("\n")),
      );
    },
    testTimeout,
  );

  test(
    "127 for a missing program, 126 for one that cannot be run, 128 and the signal for a killed one",
    async () => {
      expect((await hull(["exec", box, "no-such-program"])).code).toBe(127);
      expect((await hull(["exec", box, "/etc/passwd"])).code).toBe(126);
      expect((await hull(["exec", box, "sh", "-c", "kill -9 $$"])).code).toBe(137);
      expect((await hull(["exec", box, "sh", "-c", "kill -TERM $$"])).code).toBe(143);
      expect((await hull(["exec", box, "true"])).code).toBe(0);
    },
    testTimeout,
  );

  test(
    "gives a program a terminal of the caller's size",
    async () => {
      const terminal = daemon().terminal(["exec", "-it", box, "sh"], { columns: 91, rows: 37 });
      terminal.type("stty size\n");
      await terminal.waitFor(/37 91/);
      terminal.resize(70, 20);
      await until("the new size has arrived", async () => {
        terminal.type("stty size\n");
        await Bun.sleep(200);
        return terminal.output().includes("20 70");
      });
      terminal.type("exit 5\n");
      expect(await terminal.exited).toBe(5);
    },
    testTimeout,
  );

  test(
    "orphans are reaped",
    async () => {
      await ok(["exec", box, "sh", "-c", "(sleep 0.1 &) ; (sleep 0.1 &)"]);
      await until("no zombie is left", async () => {
        const states = await ok([
          "exec",
          box,
          "sh",
          "-c",
          "cat /proc/[0-9]*/stat 2>/dev/null | cut -d ' ' -f 2,3",
        ]);
        return states.includes("(sh)") && !states.includes("(sleep) Z");
      });
    },
    testTimeout,
  );

  test(
    "into a workload that does not run says so",
    async () => {
      const stopped = name("stopped");
      await ok(["create", "--isolation", wall, "--name", stopped, "hull/tiny", "true"]);
      const result = await hull(["exec", stopped, "true"]);
      expect(result.code).not.toBe(0);
      expect(result.stderr).toContain("not running");
      await ok(["rm", stopped]);
    },
    testTimeout,
  );
});
