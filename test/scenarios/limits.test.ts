import { expect, test } from "bun:test";
import { onBothWalls, testTimeout } from "../support/scenario.ts";

onBothWalls("limits", ({ wall, ok, run, name, inspect, hull }) => {
  // A virtual machine's memory holds its kernel too.
  const memory = wall === "container" ? "64m" : "160m";

  test(
    "a workload that takes more memory than it may have is killed and reported as such",
    async () => {
      const box = name("hungry");
      const result = await run(["--name", box, "--memory", memory, "hull/tiny", "tail", "/dev/zero"]);
      expect(result.code).toBe(137);
      expect((await inspect(box)).State).toMatchObject({ OOMKilled: true, ExitCode: 137, Status: "exited" });
      await ok(["rm", box]);
    },
    testTimeout,
  );

  test(
    "memory and CPUs are what was asked for",
    async () => {
      const box = name("limited");
      await ok([
        "run",
        "-d",
        "--isolation",
        wall,
        "--name",
        box,
        "--memory",
        "256m",
        "--cpus",
        "1",
        "hull/tiny",
        "sleep",
        "600",
      ]);
      const answer: unknown = JSON.parse(await ok(["inspect", box]));
      expect(answer).toMatchObject([{ HostConfig: { Memory: 256 * 1024 * 1024, NanoCpus: 1_000_000_000 } }]);
      if (wall === "vm") {
        const total = Number(
          (await ok(["exec", box, "sh", "-c", "grep MemTotal /proc/meminfo"])).match(/\d+/)?.[0],
        );
        expect(total).toBeGreaterThan(150_000);
        expect(total).toBeLessThanOrEqual(256 * 1024);
        expect(await ok(["exec", box, "nproc"])).toBe("1");
      }
      await ok(["rm", "-f", box]);
    },
    testTimeout,
  );

  test(
    "capabilities are Docker's default set, and none for an ordinary user",
    async () => {
      const script = "grep CapEff /proc/self/status";
      const root = await run(["--rm", "hull/tiny", "sh", "-c", script]);
      expect(root.stdout).toBe("CapEff:\t00000000a80425fb\n");
      const user = await run(["--rm", "-u", "1000", "hull/tiny", "sh", "-c", script]);
      expect(user.stdout).toBe("CapEff:\t0000000000000000\n");
      expect((await hull(["ps", "-aq"])).stdout).toBe("");
    },
    testTimeout,
  );
});
