/** Machines that wait for an image: what starts in one is like any other, and none of them is left behind. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startDaemon, type TestDaemon } from "../support/daemon.ts";
import { findHalfMade } from "../support/half-made.ts";
import { until } from "../support/until.ts";

const timeout = 240_000;
let daemon: TestDaemon;

beforeAll(async () => {
  daemon = await startDaemon({ config: { logLevel: "debug", vm: { pool: 1 } } });
}, timeout);
afterAll(async () => await daemon[Symbol.asyncDispose](), timeout);

function noted(): string[] {
  try {
    return readdirSync(join(daemon.state, "pool"));
  } catch {
    return [];
  }
}

/** The QEMU of a machine, by its control group: its command line may be that of the machine that it is a copy of. */
function qemuOf(id: string): string | undefined {
  const group = `/vm-${id}\n`;
  return readdirSync("/proc").find((entry) => {
    try {
      return (
        readFileSync(`/proc/${entry}/cgroup`, "latin1").includes(group) &&
        readFileSync(`/proc/${entry}/comm`, "latin1").startsWith("qemu")
      );
    } catch {
      // No process, or one that has gone.
      return false;
    }
  });
}

/** Inodes of what a process has open. */
function filesOf(pid: string): number[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).map((number) => statSync(`/proc/${pid}/fd/${number}`).ino);
  } catch {
    // No process, or one that has gone.
    return [];
  }
}

/** What a machine's jail has of layers. */
function shownTo(id: string): string[] {
  return readdirSync(`/proc/${qemuOf(id)}/root/layers`).sort();
}

/**
 * The id of the machine that waits: one that stands still, and so uses no processor. `layers`: how many the image has that it
 * has the root of; by default, any will do, and one that is of none.
 */
async function waiting(layers?: number): Promise<string> {
  let found = "";
  const stands = async (): Promise<boolean> => {
    found = noted().find((id) => isReady(id, layers)) ?? "";
    const before = timesOf(found);
    await Bun.sleep(300);
    return before !== "" && before === timesOf(found);
  };
  // The first one may have to wait for a template to be made.
  await until("a machine waits", stands, 60_000);
  return found;
}

/** A busy host may keep one that is not ready yet from using a processor, too. */
function isReady(id: string, layers?: number): boolean {
  const ready = (line: string) => line.includes("a virtual machine waits for an image") && line.includes(id);
  const line = daemon.log.split("\n").find(ready);
  return line !== undefined && (layers === undefined || layers === layersIn(line));
}

function layersIn(line: string): number {
  return Number(/"layers":(\d+)/.exec(line)?.[1] ?? 0);
}

function timesOf(id: string): string {
  const pid = id === "" ? undefined : qemuOf(id);
  return pid === undefined ? "" : readFileSync(`/proc/${pid}/stat`, "utf8").split(" ").slice(13, 15).join();
}

/** Has one wait with the root of hull/tiny, whatever was started last. */
async function waitingForTiny(): Promise<string> {
  // It may have no template yet, or a machine that waited may have been another image's.
  for (let start = 0; start < 2; start++) await run("--rm", "hull/tiny", "true");
  return await waiting(1);
}

function run(...args: string[]): Promise<string> {
  return daemon.hullOk(["run", "--isolation", "vm", ...args]);
}

describe("a machine that waited", () => {
  test(
    "is the workload's: its id, its name and host name, its network, its files, its limits, its end",
    async () => {
      const id = await waiting();
      expect(await run("-d", "--name", "box", "hull/tiny", "sh", "-c", "echo up; sleep 1000")).toBe(id);
      expect(await daemon.hullOk(["exec", "box", "hostname"])).toBe(id.slice(0, 12));
      expect(noted()).not.toContain(id);
      const address = await daemon.hullOk(["inspect", "-f", "{{.NetworkSettings.IPAddress}}", "box"]);
      expect(await daemon.hullOk(["exec", "box", "ip", "-4", "addr"])).toContain(address);
      await daemon.hullOk(["exec", "box", "sh", "-c", "echo kept > /kept"]);
      await daemon.kill9();
      await daemon.start();
      expect(await daemon.hullOk(["logs", "box"])).toBe("up");
      await daemon.hullOk(["fork", "--name", "twin", "box"]);
      expect(await daemon.hullOk(["exec", "twin", "cat", "/kept"])).toBe("kept");
      await daemon.hullOk(["suspend", "box"]);
      await daemon.hullOk(["resume", "box"]);
      await daemon.hullOk(["restart", "-t", "0", "box"]);
      expect(await daemon.hullOk(["exec", "box", "cat", "/kept"])).toBe("kept");
      await daemon.hullOk(["rm", "-f", "box", "twin"]);
      const of = (id: string) => (line: string) => line.includes(id.slice(0, 12));
      const others = (await findHalfMade(daemon)).filter((line) => !noted().some((each) => of(each)(line)));
      expect(others).toEqual([]);
    },
    timeout,
  );

  test(
    "has rehearsed, and nothing of that is to be seen",
    async () => {
      const id = await waiting();
      const console = readFileSync(join(daemon.state, "w", id.slice(0, 12), "console.log"), "utf8");
      expect(console).not.toContain("agent: ");
      const look =
        "ip addr; ip route; ls -A / /etc /dev /dev/pts /proc/1/root; cat /proc/mounts /proc/net/arp; df /";
      const seen = await run("--rm", "hull/tiny", "sh", "-c", look);
      expect(seen).toContain("default via");
      expect(seen).not.toMatch(/192\.0\.2\.|02:00:00:00:00:01|rehears|hull-files/);
    },
    timeout,
  );

  test(
    "is no twin of another: what is drawn, its ids and its keys are its own",
    async () => {
      const context = mkdtempSync(join(tmpdir(), "pool-"));
      writeFileSync(join(context, "Dockerfile"), "FROM hull/tiny\nRUN : > /etc/machine-id\n");
      await daemon.hullOk(["build", "-q", "-t", "pool/id", context]);
      rmSync(context, { recursive: true });
      const draw =
        "head -c 16 /dev/urandom | od -An -tx1; cat /etc/machine-id /proc/sys/kernel/random/boot_id /proc/sys/kernel/random/uuid; date +%s";
      const seen = new Set<string>();
      // At first they are of no image, then with the root of this one.
      const machines = [undefined, undefined, 2, 2, 2, 2];
      for (const layers of machines) {
        const id = await waiting(layers);
        const lines = (await run("--rm", "pool/id", "sh", "-c", draw)).split("\n").map((line) => line.trim());
        expect(noted()).not.toContain(id);
        const now = Number(lines.pop());
        expect(Math.abs(now - Date.now() / 1000)).toBeLessThan(60);
        for (const line of lines) if (line !== "") seen.add(line);
      }
      expect(seen.size).toBe(4 * machines.length);
      await daemon.hullOk(["rmi", "pool/id"]);
    },
    timeout * 2,
  );

  test(
    "is for one workload of the default size, and another takes its place; other sizes do without",
    async () => {
      const id = await waitingForTiny();
      await run("--rm", "--memory", "96m", "hull/tiny", "true");
      expect(noted()).toContain(id);
      await daemon.hullOk(["create", "--name", "taken", "hull/tiny"]);
      const again = await daemon.hull(["create", "--isolation", "vm", "--name", "taken", "hull/tiny"]);
      expect(again.stderr).toContain("already in use");
      await daemon.hullOk(["rm", "taken"]);
      expect(await waiting()).toBe(id);
      await run("--rm", "hull/tiny", "true");
      const next = await waiting();
      expect(next).not.toBe(id);
      expect(qemuOf(id)).toBeUndefined();
    },
    timeout,
  );

  test(
    "has the root of the image that was started last, and nothing of another; that one does without, once",
    async () => {
      const context = mkdtempSync(join(tmpdir(), "pool-"));
      writeFileSync(join(context, "Dockerfile"), "FROM hull/tiny\nRUN echo other > /other\n");
      await daemon.hullOk(["build", "-q", "-t", "pool/other", context]);
      rmSync(context, { recursive: true });
      const id = await waitingForTiny();
      expect(shownTo(id)).toEqual(["0"]);
      const look = ["--rm", "pool/other", "cat", "/other"];
      for (let start = 0; start < 2; start++) expect(await run(...look)).toBe("other");
      expect(noted()).toContain(id);
      const next = await waiting(2);
      await until("the other one has gone", () => Promise.resolve(!noted().includes(id)));
      expect([qemuOf(id), shownTo(next)]).toEqual([undefined, ["0", "1"]]);
      expect(await run(...look)).toBe("other");
      expect(noted()).not.toContain(next);
      expect(await waiting(2)).not.toBe(next);
      await daemon.hullOk(["rmi", "pool/other"]);
    },
    timeout,
  );

  test(
    "goes with its image, whose layers take no place on the disk any more",
    async () => {
      const place = mkdtempSync(join(tmpdir(), "pool-"));
      await run("--name", "whole", "hull/tiny", "sh", "-c", "echo mine > /mine");
      await daemon.hullOk(["export", "-o", join(place, "tar"), "whole"]);
      await daemon.hullOk(["rm", "whole"]);
      const layers = join(daemon.root, "layers");
      const before = readdirSync(layers);
      await daemon.hullOk(["import", join(place, "tar"), "pool/imported"]);
      rmSync(place, { recursive: true });
      const [layer = ""] = readdirSync(layers).filter((name) => !before.includes(name));
      const { ino } = statSync(join(layers, layer));
      for (let start = 0; start < 2; start++)
        expect(await run("--rm", "pool/imported", "cat", "/mine")).toBe("mine");
      let id = "";
      await until("one waits with its root", async () => {
        id = await waiting(1);
        return filesOf(qemuOf(id) ?? "").includes(ino);
      });
      await daemon.hullOk(["rmi", "pool/imported"]);
      expect([qemuOf(id), noted().includes(id)]).toEqual([undefined, false]);
      expect(readdirSync(layers)).toEqual(before);
      expect(readdirSync("/proc").some((pid) => filesOf(pid).includes(ino))).toBe(false);
      expect(await waiting()).not.toBe(id);
    },
    timeout,
  );

  test(
    "goes with the daemon, and after its death with the next one",
    async () => {
      const id = await waitingForTiny();
      await daemon.kill9();
      expect(qemuOf(id)).toBeDefined();
      await daemon.start();
      expect(qemuOf(id)).toBeUndefined();
      const next = await waiting();
      await daemon.stop();
      expect(qemuOf(next)).toBeUndefined();
      expect(readdirSync(join(daemon.root, "workloads"))).toEqual([]);
      await daemon.start();
    },
    timeout,
  );

  test(
    "and that ended by itself is replaced, or done without",
    async () => {
      const id = await waiting();
      process.kill(Number(qemuOf(id)), "SIGKILL");
      await run("--rm", "hull/tiny", "true");
      await until("what is left of it is gone", () => Promise.resolve(!noted().includes(id)));
      expect(await waiting()).not.toBe(id);
    },
    timeout,
  );
});
