import { expect, test } from "bun:test";
import { onBothWalls, testTimeout } from "../support/scenario.ts";
import { until } from "../support/until.ts";

onBothWalls("life cycle", ({ wall, ok, hull, name, inspect, daemon }) => {
  test(
    "a stopped workload keeps its writable layer",
    async () => {
      const box = name("layer");
      const script = "echo life >> /lives; wc -l < /lives";
      await ok(["create", "--isolation", wall, "--name", box, "hull/tiny", "sh", "-c", script]);
      expect((await inspect(box)).State.Status).toBe("created");
      expect(await ok(["start", "-a", box])).toBe("1");
      expect((await inspect(box)).State).toMatchObject({ Status: "exited", ExitCode: 0 });
      expect(await ok(["start", "-a", box])).toBe("2");
      expect(await ok(["wait", box])).toBe("0");
      await ok(["rm", box]);
    },
    testTimeout,
  );

  test(
    "stop sends TERM, and kills when that is not enough",
    async () => {
      const polite = name("polite");
      const script = "trap 'exit 3' TERM; echo ready; while :; do sleep 0.1; done";
      await ok(["run", "-d", "--isolation", wall, "--name", polite, "hull/tiny", "sh", "-c", script]);
      await until("the workload is ready", async () => (await ok(["logs", polite])).includes("ready"));
      await ok(["stop", polite]);
      expect((await inspect(polite)).State).toMatchObject({ Status: "exited", ExitCode: 3, Running: false });
      await ok(["rm", polite]);

      const deaf = name("deaf");
      const stubborn = "trap '' TERM; echo ready; while :; do sleep 0.1; done";
      await ok(["run", "-d", "--isolation", wall, "--name", deaf, "hull/tiny", "sh", "-c", stubborn]);
      await until("the workload is ready", async () => (await ok(["logs", deaf])).includes("ready"));
      await ok(["stop", "-t", "1", deaf]);
      expect((await inspect(deaf)).State.ExitCode).toBe(137);
      await ok(["rm", deaf]);
    },
    testTimeout,
  );

  test(
    "kill, wait and restart agree on what happened",
    async () => {
      const box = name("killed");
      await ok(["run", "-d", "--isolation", wall, "--name", box, "hull/tiny", "sleep", "600"]);
      const waiting = daemon().spawnHull(["wait", box]);
      await ok(["kill", box]);
      expect((await waiting.result).stdout).toBe("137\n");
      expect((await hull(["kill", box])).stderr).toContain("not running");
      await ok(["restart", box]);
      expect((await inspect(box)).State.Status).toBe("running");
      await ok(["kill", "-s", "TERM", box]);
      await ok(["rm", "-f", box]);
    },
    testTimeout,
  );

  test(
    "a new daemon finds running workloads, their output and their exit codes",
    async () => {
      const box = name("survivor");
      const script =
        "trap 'echo bye; exit 9' TERM; echo started; while [ ! -e /go ]; do sleep 0.1; done; echo went";
      await ok([
        "run",
        "-d",
        "--isolation",
        wall,
        "--name",
        box,
        "hull/tiny",
        "sh",
        "-c",
        `${script}; sleep 600 & wait`,
      ]);
      const ended = name("ended");
      await ok([
        "run",
        "-d",
        "--isolation",
        wall,
        "--name",
        ended,
        "hull/tiny",
        "sh",
        "-c",
        "sleep 1; echo over; exit 4",
      ]);
      await daemon().kill9();
      // The second one ends while no daemon is there.
      await Bun.sleep(wall === "vm" ? 3000 : 1500);
      await daemon().start();
      expect((await inspect(box)).State.Status).toBe("running");
      expect(await ok(["wait", ended])).toBe("4");
      expect(await ok(["logs", ended])).toBe("over");
      await ok(["exec", box, "touch", "/go"]);
      await until("the workload went on", async () => (await ok(["logs", box])).includes("went"));
      await ok(["stop", box]);
      expect((await inspect(box)).State.ExitCode).toBe(9);
      expect(await ok(["logs", box])).toBe("started\nwent\nbye");
      await ok(["rm", box, ended]);
    },
    testTimeout,
  );

  test(
    "attach joins a running workload with input and output",
    async () => {
      const box = name("attached");
      const script = 'while read line; do echo "got $line"; done; echo end';
      await ok(["create", "-i", "--isolation", wall, "--name", box, "hull/tiny", "sh", "-c", script]);
      await ok(["start", box]);
      const attached = daemon().spawnHull(["attach", box]);
      attached.process.stdin.write("one\n");
      attached.process.stdin.flush();
      await attached.waitForOutput(/got one/);
      attached.process.stdin.write("two\n");
      attached.process.stdin.end();
      const result = await attached.result;
      expect(result).toMatchObject({ code: 0, stdout: "got one\ngot two\nend\n" });
      await ok(["rm", box]);
    },
    testTimeout,
  );
});
