import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { detectCgroupLayout } from "./cgroup.ts";
import { expectCgroupMove, ownGroup } from "./cgroup-move.ts";

test("a process's group is known by controller, and without one in the unified hierarchy", () => {
  const text = "9:name=systemd:/a\n8:pids:/b:c\n3:cpu,cpuacct:/d\n0::/e\n";
  expect(["pids", "cpuacct", "", "memory"].map((name) => ownGroup(text, name))).toEqual([
    ...["/b:c", "/d", "/e"],
    undefined,
  ]);
});

test("expecting a move moves nobody, and does no harm where there are no groups", async () => {
  const groups = (): string => readFileSync("/proc/self/cgroup", "utf8");
  const before = groups();
  await Promise.all([expectCgroupMove(detectCgroupLayout()), expectCgroupMove(detectCgroupLayout())]);
  expect(groups()).toBe(before);
  await expectCgroupMove({ kind: "v2", v1: new Map(), v2: { mountPoint: "/none", controllers: [] } });
});
