/** What the host mounts, or makes read-only, after the daemon has taken a mount namespace of its own. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runProgram, startDaemon, type TestDaemon } from "../support/daemon.ts";
import { testTimeout, walls } from "../support/scenario.ts";

const shared = mkdtempSync(join(tmpdir(), "h-"));
let daemon: TestDaemon;

async function onHost(...command: string[]): Promise<void> {
  const { code, stderr } = await runProgram(command);
  expect([command, code, stderr]).toEqual([command, 0, ""]);
}

beforeAll(async () => {
  await onHost("mount", "--bind", shared, shared);
  await onHost("mount", "--make-shared", shared);
  daemon = await startDaemon();
}, testTimeout);
afterAll(async () => {
  await daemon?.[Symbol.asyncDispose]();
  await onHost("umount", "--recursive", shared);
  rmSync(shared, { recursive: true, force: true });
}, testTimeout);

test(
  "a container has what the host mounts below an rslave bind later, and no other bind has",
  async () => {
    const source = join(shared, "late");
    mkdirSync(join(source, "place"), { recursive: true });
    const mounts = ["-v", `${source}:/slave:rslave`, "-v", `${source}:/own`];
    await daemon.hullOk(["run", "-d", "--name", "box", ...mounts, "hull/tiny", "sleep", "600"]);
    const seen = () => daemon.hullOk(["exec", "box", "ls", "/slave/place", "/own/place"]);
    await onHost("mount", "-t", "tmpfs", "late", join(source, "place"));
    writeFileSync(join(source, "place", "late"), "");
    expect(await seen()).toBe("/own/place:\n\n/slave/place:\nlate");
    await onHost("umount", join(source, "place"));
    expect(await seen()).toBe("/own/place:\n\n/slave/place:");
    await daemon.hullOk(["rm", "-f", "box"]);
  },
  testTimeout,
);

test.each([...walls])(
  "what the host makes read-only is so behind the %s wall",
  async (wall) => {
    const source = join(shared, wall);
    mkdirSync(source);
    writeFileSync(join(source, "file"), "as it was\n");
    await onHost("mount", "--bind", source, source);
    await onHost("mount", "-o", "remount,bind,ro", source);
    const script = "cat /v/file; touch /v/file || echo fixed; touch /v/new || echo fixed";
    const run = ["run", "--rm", "--isolation", wall, "-v", `${source}:/v`, "hull/tiny", "sh", "-c", script];
    expect(await daemon.hullOk(run)).toBe("as it was\nfixed\nfixed");
  },
  testTimeout,
);
