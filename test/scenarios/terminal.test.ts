import { expect, test } from "bun:test";
import { hullProgram } from "../support/daemon.ts";
import { onBothWalls, testTimeout } from "../support/scenario.ts";
import { openTerminal } from "../support/terminal.ts";
import { until } from "../support/until.ts";

onBothWalls("terminal", ({ wall, daemon, runTerminal, ok }) => {
  test(
    "run -it is a shell in a terminal: echo, size, resize, interrupt, exit code",
    async () => {
      const terminal = runTerminal(["--rm", "-it", "hull/tiny", "sh"], { columns: 93, rows: 31 });
      terminal.type("tty; stty size\n");
      await terminal.waitFor(/\/dev\/(pts\/\d+|console)[\s\S]*31 93/);
      terminal.resize(60, 25);
      await until("the new size has arrived", async () => {
        terminal.type("stty size\n");
        await Bun.sleep(200);
        return terminal.output().includes("25 60");
      });
      terminal.forget();
      terminal.type("sleep 1000\n");
      await Bun.sleep(300);
      terminal.type("\x03");
      terminal.type("echo code=$?\n");
      await terminal.waitFor(/code=130/);
      terminal.type("exit 6\n");
      expect(await terminal.exited).toBe(6);
      expect(await ok(["ps", "-aq"])).toBe("");
    },
    testTimeout,
  );

  test(
    "leaves the caller's terminal as it was",
    async () => {
      const command = `${hullProgram} --socket ${daemon().socket} run --rm -it --isolation ${wall} hull/tiny sh -c 'exit 4'`;
      const terminal = openTerminal(["sh", "-c", `stty -g; ${command}; echo code=$?; stty -g`]);
      await terminal.exited;
      const settings = terminal.output().match(/^[0-9a-f]+(?::[0-9a-f]+)+/gm) ?? [];
      expect(settings.length).toBe(2);
      expect(settings[0]).toBe(settings[1]);
      expect(terminal.output()).toContain("code=4");
    },
    testTimeout,
  );
});
