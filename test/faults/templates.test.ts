/** What goes wrong while virtual machines' templates are made or used costs time, and leaves nothing. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { mount, unmount } from "../../src/host/mount.ts";
import { startDaemon, type TestDaemon } from "../support/daemon.ts";
import { findHalfMade } from "../support/half-made.ts";
import { until } from "../support/until.ts";

const timeout = 240_000;
const vm = ["run", "--rm", "--isolation", "vm", "--name", "victim", "hull/tiny", "echo", "hi"];

function namesIn(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory) : [];
}

function processNaming(text: string): string | undefined {
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name)))
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, "latin1");
      if (command.includes(text)) return command.replaceAll("\0", " ");
    } catch {
      // It has ended.
    }
  return undefined;
}

describe("a daemon that is killed", () => {
  let daemon: TestDaemon;
  beforeAll(async () => {
    daemon = await startDaemon();
  }, timeout);
  afterAll(async () => await daemon[Symbol.asyncDispose](), timeout);

  const builds = (): string => join(daemon.state, "builds");
  const templates = (): string => join(daemon.root, "templates");

  async function expectNothingHalfMade(): Promise<void> {
    await until("the workload is undone", async () => (await daemon.hullOk(["ps", "-aq"])) === "");
    await until("nothing half-made is left", async () => (await findHalfMade(daemon)).length === 0);
    expect(namesIn(builds())).toEqual([]);
    expect(processNaming(builds())).toBeUndefined();
    expect(namesIn(templates()).filter((name) => name.includes("draft"))).toEqual([]);
  }

  test(
    "while it makes a template leaves none and no machine",
    async () => {
      const client = daemon.hull(vm);
      await until("the machine boots", async () =>
        namesIn(builds()).some((name) => existsSync(join(builds(), name, "vm", "agent"))),
      );
      await daemon.kill9();
      await client;
      expect(processNaming(builds())).toBeDefined();
      await daemon.start();
      await expectNothingHalfMade();
      expect(namesIn(templates())).toEqual([]);
      expect(await daemon.hullOk(vm)).toBe("hi");
      expect(namesIn(templates())).toHaveLength(1);
    },
    timeout,
  );

  test(
    "while a machine takes up its template leaves nothing of the machine, and the template",
    async () => {
      const client = daemon.hull(vm);
      const place = join(daemon.state, "w");
      await until("QEMU is there", async () =>
        namesIn(place).some((name) => existsSync(join(place, name, "vm", "qmp"))),
      );
      await daemon.kill9();
      await client;
      await daemon.start();
      await expectNothingHalfMade();
      expect(namesIn(templates())).toHaveLength(1);
      expect(await daemon.hullOk(vm)).toBe("hi");
    },
    timeout,
  );
});

test(
  "a full disk is named, leaves nothing on it, and machines start nevertheless",
  async () => {
    await using daemon = await startDaemon();
    await daemon.stop();
    const templates = join(daemon.root, "templates");
    mkdirSync(templates, { recursive: true });
    mount({ source: "tmpfs", target: templates, type: "tmpfs", data: "size=1m" });
    try {
      await daemon.start();
      expect(await daemon.hullOk(vm)).toBe("hi");
      expect(daemon.log).toContain("a template stays in memory only");
      expect(daemon.log).toContain("no space left on device while writing a template of virtual machines");
      expect(readdirSync(templates)).toEqual([]);
      await daemon.stop();
    } finally {
      unmount(templates);
    }
    await daemon.start();
  },
  timeout,
);
