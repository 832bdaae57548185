import { describe, expect, test } from "bun:test";
import { memoryOf, type ProcessTable } from "./memory.ts";
import { namesOfCapabilities, parseView, viewCommand } from "./probes.ts";

describe("the view from inside", () => {
  test("is read from the probe's answer", () => {
    expect(parseView("6.1.0-40-amd64 61 00000000a80425fb\n")).toEqual({
      kernel: "6.1.0-40-amd64",
      processes: 61,
      capabilities: 0xa80425fbn,
    });
  });

  test("is refused when the probe answered something else", () => {
    for (const answer of ["", "6.1 x 0\n", "sh: not found\n", "6.1 3 0"])
      expect(() => parseView(answer)).toThrow();
  });

  test("the probe works in a plain POSIX shell", async () => {
    const child = Bun.spawn([...viewCommand], { stdout: "pipe" });
    const view = parseView(await child.stdout.text());
    expect(view.kernel).toBe((await Bun.file("/proc/sys/kernel/osrelease").text()).trim());
    expect(view.processes).toBeGreaterThan(1);
  });

  test("capability masks become names, unknown bits included", () => {
    expect(namesOfCapabilities(0n)).toEqual([]);
    expect(namesOfCapabilities(0xa80425fbn)).toEqual([
      ...["chown", "dac_override", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap"],
      ...["net_bind_service", "net_raw", "sys_chroot", "mknod", "audit_write", "setfcap"],
    ]);
    expect(namesOfCapabilities((1n << 40n) | (1n << 45n))).toEqual(["checkpoint_restore", "cap_45"]);
  });
});

describe("memory on the host", () => {
  const processes: Record<number, { name: string; parent: number; pss: number }> = {
    1: { name: "init", parent: 0, pss: 9000 },
    10: { name: "conmon", parent: 1, pss: 100 },
    11: { name: "sleep", parent: 10, pss: 20 },
    12: { name: "sh", parent: 11, pss: 3 },
    20: { name: "bun", parent: 1, pss: 40_000 },
    21: { name: "sleep", parent: 20, pss: 7 },
  };
  const table: ProcessTable = {
    pids: async () => Object.keys(processes).map(Number),
    async read(pid, file) {
      const each = processes[pid];
      if (each === undefined) return undefined;
      return file === "status"
        ? `Name:\t${each.name}\nUmask:\t0022\nPPid:\t${each.parent}\n`
        : `00400000-7ffc [rollup]\nRss:  99999 kB\nPss:    ${each.pss} kB\nPss_Anon:  5 kB\n`;
    },
  };

  test("counts the monitor, the workload and its children", async () => {
    expect(await memoryOf(11, table)).toBe(123 * 1024);
  });

  test("does not count a parent that is no monitor", async () => {
    expect(await memoryOf(21, table)).toBe(7 * 1024);
  });

  test("is nothing when the workload is gone", async () => {
    expect(await memoryOf(99, table)).toBe(0);
  });
});
