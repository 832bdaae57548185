import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { parseMountInfo } from "./mount-info.ts";

test("a mount table is read field by field, escapes and optional fields included", () => {
  const [mount] = parseMountInfo(
    "36 35 98:0 /root\\040dir /mnt\\011tab rw,noatime master:1 shared:2 - ext3 /dev/root\\134x rw,errors=continue",
  );
  expect(mount).toEqual({
    id: 36,
    parentId: 35,
    root: "/root dir",
    mountPoint: "/mnt\ttab",
    type: "ext3",
    source: "/dev/root\\x",
    superOptions: ["rw", "errors=continue"],
  });
});

test("lines of another form are left out", () => {
  expect(parseMountInfo("\nnonsense\n1 2 - \n")).toEqual([]);
});

test("this process's own table has a root", () => {
  const mounts = parseMountInfo(readFileSync("/proc/self/mountinfo", "utf8"));
  expect(mounts.some(({ mountPoint }) => mountPoint === "/")).toBe(true);
});
