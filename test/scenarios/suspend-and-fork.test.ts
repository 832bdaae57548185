/** Workloads whose memory is saved: suspended and resumed over the end of the daemon, and copied while they run. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { startDaemon, type TestDaemon } from "../support/daemon.ts";
import { until } from "../support/until.ts";

const timeout = 240_000;
const siblings = ["twin-1", "twin-2", "twin-3"];
/** Counts up in its memory and, every time, on its disk; says who it is and draws random numbers when it is told to. */
const counter =
  "echo parent > /etc/machine-id; i=0; while :; do i=$((i+1)); echo $i > /count; [ -e /tell ] && " +
  'echo "random $(head -c 16 /dev/urandom | od -An -tx1 | tr -d " ")" && rm /tell; sleep 0.05; done';

let daemon: TestDaemon;

beforeAll(async () => {
  daemon = await startDaemon();
  await daemon.hullOk(["run", "-d", "--isolation", "vm", "--name", "box", "hull/tiny", "sh", "-c", counter]);
  await counted("box", 2);
}, timeout);
afterAll(async () => await daemon[Symbol.asyncDispose](), timeout);

function inside(name: string, ...command: string[]): Promise<string> {
  return daemon.hullOk(["exec", name, ...command]);
}

async function counted(name: string, least: number): Promise<number> {
  let count = 0;
  await until(
    () => `${name} counts beyond ${least}, and not only to ${count}`,
    async () => {
      count = Number((await daemon.hull(["exec", name, "cat", "/count"])).stdout);
      return count > least;
    },
  );
  return count;
}

async function stateOf(name: string): Promise<string> {
  return await daemon.hullOk(["inspect", "-f", "{{.State.Status}} {{.Hull.Suspended}}", name]);
}

describe("a suspended workload", () => {
  test(
    "goes on exactly where it was, over the death of the daemon, with the time of now",
    async () => {
      const before = await counted("box", 2);
      expect(await daemon.hullOk(["suspend", "box"])).toBe("box");
      expect(await stateOf("box")).toBe("paused true");
      expect(await daemon.hullOk(["ps", "--format", "{{.Status}}"])).toMatch(/^Up .* \(Suspended\)$/);
      for (const verb of [
        ["exec", "box", "true"],
        ["rm", "box"],
        ["kill", "-s", "TERM", "box"],
      ])
        expect((await daemon.hull(verb)).stderr).toContain("suspended");
      expect((await daemon.hull(["logs", "box"])).code).toBe(0);
      await daemon.kill9();
      await daemon.start();
      expect(await stateOf("box")).toBe("paused true");
      expect(await daemon.hullOk(["resume", "box"])).toBe("box");
      expect(await stateOf("box")).toBe("running false");
      const after = await counted("box", before);
      // The shell kept its number: it did not begin anew.
      expect(after).toBeGreaterThan(before);
      const skew = Math.abs(Number(await inside("box", "date", "+%s")) - Date.now() / 1000);
      expect(skew).toBeLessThan(5);
      // Its network card can be let go of, and taken again.
      for (const [verb, interfaces] of [
        ["disconnect", "lo"],
        ["connect", "eth0\nlo"],
      ] as const) {
        await daemon.hullOk(["network", verb, "bridge", "box"]);
        expect(await inside("box", "ls", "/sys/class/net")).toBe(interfaces);
      }
    },
    timeout,
  );

  test(
    "whose saved memory is damaged says so, and starts anew with its files",
    async () => {
      await daemon.hullOk(["run", "-d", "--isolation", "vm", "--name", "hurt", "hull/tiny", "sleep", "1000"]);
      await inside("hurt", "sh", "-c", "echo kept > /kept");
      await daemon.hullOk(["suspend", "hurt"]);
      const workloads = join(daemon.root, "workloads");
      const id = await daemon.hullOk(["inspect", "-f", "{{.Id}}", "hurt"]);
      expect(readdirSync(workloads)).toContain(id);
      truncateSync(join(workloads, id, "suspended", "memory"), 4096);
      const refused = await daemon.hull(["resume", "hurt"]);
      expect(refused.code).toBe(1);
      expect(refused.stderr).toContain("cannot go on from its suspended state: the memory is cut short");
      expect(refused.stderr).toContain("hull kill hurt");
      expect(await stateOf("hurt")).toBe("paused true");
      await daemon.hullOk(["kill", "hurt"]);
      expect(await stateOf("hurt")).toBe("exited false");
      await daemon.hullOk(["start", "hurt"]);
      expect(await inside("hurt", "cat", "/kept")).toBe("kept");
      await daemon.hullOk(["suspend", "hurt"]);
      await daemon.hullOk(["rm", "-f", "hurt"]);
      expect(readdirSync(workloads)).not.toContain(id);
    },
    timeout,
  );
});

describe("siblings", () => {
  test(
    "run on from where their parent was, and share nothing that tells them apart",
    async () => {
      await inside("box", "sh", "-c", "cat /proc/sys/kernel/random/boot_id > /shared");
      const before = await counted("box", 2);
      const ids = (await daemon.hullOk(["fork", "--count", "3", "--name", "twin", "box"])).split("\n");
      expect(ids).toHaveLength(3);
      const all = ["box", ...siblings];
      const told = await Promise.all(
        all.map(async (name) => {
          expect(await counted(name, before)).toBeGreaterThan(before);
          await inside(name, "touch", "/tell");
          await until(`${name} has drawn a number`, async () =>
            (await daemon.hullOk(["logs", name])).includes("random "),
          );
          const facts =
            "hostname; cat /etc/hostname /etc/machine-id /proc/sys/kernel/random/boot_id; date +%s";
          const [hostname, file, machine, boot, time] = (await inside(name, "sh", "-c", facts)).split("\n");
          expect(file).toBe(hostname ?? "");
          expect(Math.abs(Number(time) - Date.now() / 1000)).toBeLessThan(5);
          const log = await daemon.hullOk(["logs", name]);
          return { hostname, machine, boot, drawn: /random (\S+)/.exec(log)?.[1] };
        }),
      );
      for (const fact of ["hostname", "machine", "boot", "drawn"] as const)
        expect(new Set(told.map((each) => each[fact])).size).toBe(all.length);
      expect(told.slice(1).map(({ hostname }) => hostname)).toEqual(ids.map((id) => id.slice(0, 12)));
      expect(await inside("box", "cat", "/shared")).toBe(told[0]?.boot ?? "");
    },
    timeout,
  );

  test(
    "have files of their own; whoever of the family goes first takes nothing from the others",
    async () => {
      for (const name of ["box", ...siblings]) await inside(name, "sh", "-c", `echo ${name} > /who`);
      await daemon.hullOk(["fork", "--name", "grandchild", "twin-1"]);
      await inside("grandchild", "sh", "-c", "echo grandchild > /who");
      await daemon.hullOk(["rm", "-f", "box", "twin-1"]);
      for (const name of ["twin-2", "twin-3", "grandchild"]) {
        expect(await inside(name, "cat", "/who")).toBe(name);
        await daemon.hullOk(["restart", "-t", "0", name]);
        expect(await inside(name, "cat", "/who")).toBe(name);
        expect(await inside(name, "cat", "/shared")).toMatch(/^[0-9a-f-]{36}$/);
      }
      await daemon.hullOk(["suspend", "grandchild"]);
      await daemon.hullOk(["resume", "grandchild"]);
      expect(await inside("grandchild", "cat", "/who")).toBe("grandchild");
      await daemon.hullOk(["rm", "-f", "twin-2", "twin-3", "grandchild"]);
      expect(readdirSync(join(daemon.root, "workloads"))).toEqual([]);
    },
    timeout,
  );

  test(
    "on the container wall, what needs a machine's memory is refused with what to do instead",
    async () => {
      await daemon.hullOk(["run", "-d", "--name", "plain", "hull/tiny", "sleep", "1000"]);
      expect((await daemon.hull(["suspend", "plain"])).stderr).toContain("pause it");
      expect((await daemon.hull(["fork", "plain"])).stderr).toContain("--isolation vm");
      await daemon.hullOk(["rm", "-f", "plain"]);
    },
    timeout,
  );
});
