/** A guest that does its worst from inside: the daemon stays small and answers, a sibling notices nothing. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { globSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { startDaemon, type TestDaemon } from "../support/daemon.ts";
import { until } from "../support/until.ts";

const timeout = 240_000;
/** Console logs start anew at 256 KiB, after the line that went over. */
const consoleLimit = 320 * 1024;
/** Kilobytes that a daemon may take more than before, whatever a guest does. */
const growthLimit = 100 * 1024;

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await startDaemon();
}, timeout);
afterAll(async () => await daemon[Symbol.asyncDispose](), timeout);

const run = (name: string, script: string) =>
  daemon.hullOk(["run", "-d", "--isolation", "vm", "--name", name, "hull/tiny", "sh", "-c", script]);

const residentKilobytes = (): number =>
  Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${daemon.pid}/status`, "utf8"))?.[1]);

const consoleSizes = (): number[] =>
  globSync(join(daemon.state, "w/*/console.log")).map((path) => statSync(path).size);

test(
  "a guest that floods its console and its output, and forks without end, harms itself only",
  async () => {
    await run("sibling", "while :; do sleep 1; done");
    const before = residentKilobytes();
    // The fork bomb comes last: until then the guest has memory and time for the floods.
    const script = [
      "busybox mknod /tmp/serial c 4 64 && [ -c /tmp/serial ] || exit 9",
      "(while :; do busybox yes flooding-the-console; done > /tmp/serial) &",
      "(while :; do busybox yes flooding-the-log | head -c 1000000; sleep 1; done) &",
      "while [ ! -e /tmp/go ]; do sleep 0.2; done",
      "bomb() { bomb | bomb & }; bomb; while :; do sleep 1; done",
    ].join("\n");
    await run("hostile", script);
    await until("the console is flooded", () => consoleSizes().some((size) => size > 16 * 1024), timeout);
    await until(
      "the log is flooded",
      async () => (await daemon.hullOk(["logs", "-n", "1", "hostile"])).includes("flooding-the-log"),
      timeout,
    );
    await daemon.hullOk(["exec", "hostile", "touch", "/tmp/go"]);
    for (let round = 0; round < 5; round++) {
      expect(await daemon.hullOk(["exec", "sibling", "echo", "unharmed"])).toBe("unharmed");
      for (const size of consoleSizes()) expect(size).toBeLessThan(consoleLimit);
      expect(residentKilobytes() - before).toBeLessThan(growthLimit);
    }
    // The guest may have lost its memory by now, and answers or does not: it can be taken away all the same.
    await daemon.hullOk(["rm", "-f", "hostile"]);
    expect(await daemon.hullOk(["exec", "sibling", "echo", "unharmed"])).toBe("unharmed");
    await daemon.hullOk(["rm", "-f", "sibling"]);
    await daemon.waitUntilEmpty();
  },
  timeout,
);
