import { expect, test } from "bun:test";
import { describeProcesses, parseStatus } from "./processes.ts";

test("a process of a container has the number it has inside", () => {
  const status =
    "Name:\tsh\nState:\tS (sleeping)\nPid:\t991\nPPid:\t990\nUid:\t1000\t0\t0\t0\nNSpid:\t991\t7\n";
  expect(parseStatus(status)).toEqual({ name: "sh", innerPid: 7, parentPid: 990, uid: 1000 });
  expect(parseStatus("Name:\tx\n")).toBeUndefined();
});

test("processes that are gone are left out, parents outside are 0", () => {
  const rows = describeProcesses([process.pid, 2 ** 22 + 1], new Map([[0, "root"]]));
  expect(rows).toHaveLength(1);
  expect(rows[0]).toMatchObject({ parentPid: 0, user: "root" });
  expect(rows[0]?.command).toContain("bun");
});
