import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runProgram, startDaemon } from "../support/daemon.ts";
import { onBothWalls, testTimeout } from "../support/scenario.ts";

onBothWalls("run", ({ wall, run, spawnRun, ok, hull, name, inspect }) => {
  test(
    "keeps stdout and stderr apart and gives the program's exit code",
    async () => {
      const result = await run(["--rm", "hull/tiny", "sh", "-c", "echo out; echo err >&2; exit 42"]);
      expect(result.stdout).toBe("out\n");
      expect(result.stderr).toEndWith("err\n");
      expect(result.code).toBe(42);
      expect(await ok(["ps", "-aq"])).toBe("");
    },
    testTimeout,
  );

  test(
    "sets environment, working directory, user, groups and host name",
    async () => {
      const script =
        "echo $GREETING; pwd; id -u; id -g; hostname; cat /proc/1/comm; cat /proc/1/cmdline | tr '\\0' ' '";
      const flags = [
        "-e",
        "GREETING=hello world",
        "-w",
        "/made/for/this",
        "-u",
        "1234:5678",
        "--hostname",
        "box",
      ];
      const result = await run(["--rm", ...flags, "hull/tiny", "sh", "-c", script]);
      const lines = result.stdout.split("\n");
      expect(lines.slice(0, 5)).toEqual(["hello world", "/made/for/this", "1234", "5678", "box"]);
      expect(result.code).toBe(0);
    },
    testTimeout,
  );

  test(
    "gives the workload a kernel of its own, or the host's",
    async () => {
      const host = (await runProgram(["uname", "-r"])).stdout;
      const { stdout } = await run(["--rm", "hull/tiny", "uname", "-r"]);
      expect(stdout === host).toBe(wall === "container");
    },
    testTimeout,
  );

  test(
    "pipes a tar through standard input, end of file included, byte for byte",
    async () => {
      const directory = await mkdtemp(join(tmpdir(), "tar-"));
      try {
        const random = crypto.getRandomValues(new Uint8Array(60_000));
        const content = Buffer.concat(Array.from({ length: 50 }, () => random));
        await Bun.write(join(directory, "data.bin"), content);
        const tar = (await runProgram(["tar", "-C", directory, "-c", "data.bin"])).stdoutBytes;
        const script = "mkdir /in && cd /in && tar x && cat data.bin";
        const result = await run(["--rm", "-i", "hull/tiny", "sh", "-c", script], { stdin: tar });
        expect(result.code).toBe(0);
        expect(Bun.hash(result.stdoutBytes)).toBe(Bun.hash(content));
      } finally {
        await rm(directory, { recursive: true, force: true });
      }
    },
    testTimeout,
  );

  test(
    "without -i standard input is at its end",
    async () => {
      const result = await run(["--rm", "hull/tiny", "cat"], { stdin: "never seen" });
      expect(result).toMatchObject({ code: 0, stdout: "" });
    },
    testTimeout,
  );

  test(
    "forwards signals to the workload",
    async () => {
      const script =
        "trap 'echo got usr1' USR1; trap 'echo got term; exit 7' TERM; echo ready; while :; do sleep 0.1; done";
      const running = spawnRun(["--rm", "hull/tiny", "sh", "-c", script]);
      await running.waitForOutput(/ready/);
      running.process.kill("SIGUSR1");
      await running.waitForOutput(/got usr1/);
      running.process.kill("SIGTERM");
      const result = await running.result;
      expect(result.stdout).toBe("ready\ngot usr1\ngot term\n");
      expect(result.code).toBe(7);
    },
    testTimeout,
  );

  test(
    "a workload killed from outside gives 128 and the signal",
    async () => {
      const box = name("victim");
      const running = spawnRun(["--name", box, "hull/tiny", "sh", "-c", "echo ready; sleep 600"]);
      await running.waitForOutput(/ready/);
      await ok(["kill", box]);
      expect((await running.result).code).toBe(137);
      await ok(["rm", box]);
    },
    testTimeout,
  );

  test(
    "a command that is not there gives 127, one that cannot be run 126, and nothing is left",
    async () => {
      const missing = await run(["--rm", "hull/tiny", "no-such-program"]);
      expect(missing.stderr).toContain("no-such-program");
      expect(missing.code).toBe(127);
      const directory = await run(["--rm", "hull/tiny", "/etc"]);
      expect(directory.code).toBe(126);
      const plain = await run(["--rm", "hull/tiny", "/etc/passwd"]);
      expect(plain.code).toBe(126);
      expect(plain.stderr.trim().split("\n").length).toBeLessThanOrEqual(wall === "vm" ? 2 : 1);
      expect(await ok(["ps", "-aq"])).toBe("");
    },
    testTimeout,
  );

  test(
    "a read-only root refuses writes",
    async () => {
      const result = await run(["--rm", "--read-only", "hull/tiny", "sh", "-c", "echo x > /file"]);
      expect(result.code).not.toBe(0);
      expect(result.stderr).toContain("Read-only file system");
    },
    testTimeout,
  );

  test(
    "--entrypoint replaces the program, and the arguments follow it",
    async () => {
      const result = await run(["--rm", "--entrypoint", "echo", "hull/tiny", "a", "b c"]);
      expect(result).toMatchObject({ code: 0, stdout: "a b c\n" });
    },
    testTimeout,
  );

  test(
    "-d prints the id, ps shows the wall, and a name is used once",
    async () => {
      const box = name("detached");
      const id = await ok([
        "run",
        "-d",
        "--isolation",
        wall,
        "--name",
        box,
        "--label",
        "a=b",
        "hull/tiny",
        "sleep",
        "600",
      ]);
      expect(id).toMatch(/^[0-9a-f]{64}$/);
      expect((await inspect(box)).State).toMatchObject({ Status: "running", Running: true });
      const row = (await ok(["ps"])).split("\n").find((line) => line.includes(box));
      expect(row).toMatch(wall === "container" ? / container / : / vm( \(tcg\))? /);
      const again = await run(["--name", box, "hull/tiny", "true"]);
      expect(again.code).toBe(125);
      expect(again.stderr).toContain("already in use");
      expect(await ok(["ps", "-q", "--filter", "label=a=b", "--filter", `name=${box}`])).toBe(
        id.slice(0, 12),
      );
      expect((await hull(["rm", box])).code).not.toBe(0);
      await ok(["rm", "-f", box]);
      expect((await hull(["inspect", box])).code).not.toBe(0);
    },
    testTimeout,
  );

  test(
    "10 MB of output arrive whole",
    async () => {
      const script = "dd if=/dev/zero bs=1000 count=10000 2>/dev/null | tr '\\0' x";
      const result = await run(["--rm", "hull/tiny", "sh", "-c", script]);
      expect(result.stdoutBytes.length).toBe(10_000_000);
      expect(result.stdoutBytes.every((byte) => byte === 0x78)).toBe(true);
      expect(result.code).toBe(0);
    },
    testTimeout,
  );

  test(
    "bad requests end with 125 and one line that says what to do",
    async () => {
      for (const [args, message] of [
        [["hull/tiny:no-such-tag", "true"], /no-such-tag/],
        [["Not A Reference", "true"], /invalid reference/],
        [["--memory", "lots", "hull/tiny", "true"], /memory/],
      ] as const) {
        const result = await run(["--rm", ...args]);
        expect(result.code).toBe(125);
        expect(result.stderr).toMatch(message);
        expect(result.stdout).toBe("");
      }
      expect(await ok(["ps", "-aq"])).toBe("");
    },
    testTimeout,
  );
});

test("an unknown isolation is refused with what is accepted", async () => {
  await using daemon = await startDaemon();
  const result = await daemon.hull(["run", "--rm", "--isolation", "concrete", "hull/tiny", "true"]);
  expect(result.code).toBe(125);
  expect(result.stderr).toContain("concrete");
  expect(result.stderr).toContain("vm");
});
