import { expect, test } from "bun:test";
import { onBothWalls, testTimeout } from "../support/scenario.ts";

onBothWalls("logs", ({ wall, ok, hull, name, daemon }) => {
  test(
    "are kept byte for byte, streams apart, last line without newline included",
    async () => {
      const box = name("log");
      // Every byte but newline, in the shell's octal; then a line without an end.
      const bytes = Array.from({ length: 256 }, (_, byte) => `\\${byte.toString(8).padStart(4, "0")}`).join(
        "",
      );
      const script = `printf '%b' '${bytes}'; echo; echo problem >&2; echo last; printf unfinished`;
      await ok(["run", "-d", "--isolation", wall, "--name", box, "hull/tiny", "sh", "-c", script]);
      await ok(["wait", box]);
      const { stdoutBytes, stderr, code } = await hull(["logs", box]);
      const expected = Buffer.concat([
        Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)),
        Buffer.from("\nlast\nunfinished"),
      ]);
      expect(code).toBe(0);
      expect(Buffer.from(stdoutBytes).equals(expected)).toBe(true);
      expect(stderr).toBe("problem\n");

      expect((await hull(["logs", "--tail", "1", box])).stdout).toBe("unfinished");
      expect((await hull(["logs", "-t", "--tail", "2", box])).stdout).toMatch(
        /^\d{4}-\d\d-\d\dT[\d:.]+\S* last\n\d{4}-\S+ unfinished$/,
      );
      expect((await hull(["logs", "--since", "2099-01-01T00:00:00Z", box])).stdout).toBe("");
      await ok(["rm", box]);
      expect((await hull(["logs", box])).stderr).toContain("No such container");
    },
    testTimeout,
  );

  test(
    "-f follows until the workload ends",
    async () => {
      const box = name("follow");
      const script = "echo one; while [ ! -e /go ]; do sleep 0.1; done; echo two";
      await ok(["run", "-d", "--isolation", wall, "--name", box, "hull/tiny", "sh", "-c", script]);
      const following = daemon().spawnHull(["logs", "-f", box]);
      await following.waitForOutput(/one\n/);
      await ok(["exec", box, "touch", "/go"]);
      expect(await following.result).toMatchObject({ code: 0, stdout: "one\ntwo\n" });
      await ok(["rm", box]);
    },
    testTimeout,
  );
});
