import { afterEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type CgroupLayout,
  cgroupDirectory,
  cgroupProcesses,
  describeCgroupLayout,
  readCgroupUsage,
  removeEmptyCgroup,
} from "./cgroup.ts";

const v2Table = `24 1 0:22 / /sys rw - sysfs sysfs rw
30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate`;

const v1Table = `30 24 0:26 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755
31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw shared:10 - cgroup cgroup rw,cpu,cpuacct
32 30 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
33 30 0:29 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
34 30 0:30 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd`;

const hybridTable = `${v1Table}
35 30 0:31 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw`;

describe("the layout of control groups", () => {
  test("one unified hierarchy is v2", () => {
    const layout = describeCgroupLayout(v2Table, () => "cpu io memory pids\n");
    expect(layout.kind).toBe("v2");
    expect(layout.v2).toEqual({ mountPoint: "/sys/fs/cgroup", controllers: ["cpu", "io", "memory", "pids"] });
    expect(cgroupDirectory(layout, "memory", "/hull/a")).toBe("/sys/fs/cgroup/hull/a");
  });

  test("a hierarchy per controller is v1, two controllers in one included", () => {
    const layout = describeCgroupLayout(v1Table, () => "");
    expect(layout.kind).toBe("v1");
    expect(cgroupDirectory(layout, "cpuacct", "/hull/a")).toBe("/sys/fs/cgroup/cpu,cpuacct/hull/a");
    expect(cgroupDirectory(layout, "freezer", "/hull/a")).toBeUndefined();
  });

  test("both at once is hybrid, and limits are in v1", () => {
    const layout = describeCgroupLayout(hybridTable, () => "hugetlb\n");
    expect(layout.kind).toBe("hybrid");
    expect(layout.v2?.controllers).toEqual(["hugetlb"]);
    expect(cgroupDirectory(layout, "memory", "/hull/a")).toBe("/sys/fs/cgroup/memory/hull/a");
  });
});

/** Directories with files as the kernel shows them. */
const made: string[] = [];

function imitate(files: Readonly<Record<string, string>>): string {
  const root = mkdtempSync(join(tmpdir(), "cgroup-"));
  made.push(root);
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(join(root, name, ".."), { recursive: true });
    writeFileSync(join(root, name), content);
  }
  return root;
}

afterEach(() => {
  for (const root of made.splice(0)) rmSync(root, { recursive: true });
});

describe("what a control group uses", () => {
  test("is read from v2's files", () => {
    const mountPoint = imitate({
      "g/cgroup.procs": "12\n13\n",
      "g/memory.current": "4096\n",
      "g/memory.max": "max\n",
      "g/memory.events": "low 0\nhigh 0\nmax 3\noom 2\noom_kill 1\noom_group_kill 0\n",
      "g/cpu.stat": "usage_usec 1500\nuser_usec 1000\n",
      "g/pids.current": "2\n",
    });
    const layout: CgroupLayout = { kind: "v2", v1: new Map(), v2: { mountPoint, controllers: [] } };
    expect(readCgroupUsage(layout, "/g")).toEqual({
      memoryBytes: 4096,
      memoryLimitBytes: 0,
      cpuNanoseconds: 1_500_000,
      pids: 2,
      oomKills: 1,
    });
    expect(cgroupProcesses(layout, "/g")).toEqual([12, 13]);
    expect(readCgroupUsage(layout, "/gone")).toBeUndefined();
    expect(cgroupProcesses(layout, "/gone")).toEqual([]);
  });

  test("is read from v1's files", () => {
    const root = imitate({
      "memory/g/cgroup.procs": "7\n",
      "memory/g/memory.usage_in_bytes": "8192\n",
      "memory/g/memory.limit_in_bytes": "134217728\n",
      "memory/g/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
      "cpuacct/g/cpuacct.usage": "77\n",
      "pids/g/cgroup.procs": "7\n",
      "pids/g/pids.current": "1\n",
    });
    const v1 = new Map(["memory", "cpuacct", "pids"].map((name) => [name, `${root}/${name}`]));
    expect(readCgroupUsage({ kind: "v1", v1, v2: undefined }, "/g")).toEqual({
      memoryBytes: 8192,
      memoryLimitBytes: 134_217_728,
      cpuNanoseconds: 77,
      pids: 1,
      oomKills: 2,
    });
  });

  test("has no limit where v1 writes its largest number", () => {
    const root = imitate({
      "memory/g/cgroup.procs": "",
      "memory/g/memory.limit_in_bytes": "9223372036854771712\n",
    });
    const layout: CgroupLayout = { kind: "v1", v1: new Map([["memory", `${root}/memory`]]), v2: undefined };
    expect(readCgroupUsage(layout, "/g")?.memoryLimitBytes).toBe(0);
  });
});

test("a group is removed from every hierarchy where it is empty, and said to be in use where not", () => {
  const root = imitate({ "pids/busy/below/x": "" });
  mkdirSync(join(root, "memory/g"), { recursive: true });
  const v1 = new Map(["memory", "pids"].map((name) => [name, `${root}/${name}`]));
  const layout: CgroupLayout = { kind: "v1", v1, v2: undefined };
  expect(removeEmptyCgroup(layout, "/g")).toBe(true);
  expect(removeEmptyCgroup(layout, "/g")).toBe(true);
  expect(removeEmptyCgroup(layout, "/busy")).toBe(false);
});
