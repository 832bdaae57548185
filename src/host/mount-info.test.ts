import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { mountOfPath, parseMountInfo } from "./mount-info.ts";

test("a mount table is read field by field, escapes and optional fields included", () => {
  const [mount] = parseMountInfo(
    "36 35 98:0 /root\\040dir /mnt\\011tab rw,noatime master:1 shared:2 - ext3 /dev/root\\134x rw,errors=continue",
  );
  expect(mount).toEqual({
    id: 36,
    parentId: 35,
    device: "98:0",
    root: "/root dir",
    mountPoint: "/mnt\ttab",
    options: ["rw", "noatime"],
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

test("a path is on the mount that a walk to it ends in, not on one that another covers", () => {
  const line = (id: number, parent: number, place: string) =>
    `${id} ${parent} 0:${id} / ${place} rw - tmpfs t rw`;
  const mounts = parseMountInfo(
    [line(1, 0, "/"), line(2, 1, "/a"), line(3, 1, "/a/b"), line(4, 2, "/a/c"), line(5, 4, "/a/c")].join(
      "\n",
    ),
  );
  const found = (path: string) => mountOfPath(mounts, path)?.id;
  expect(["/", "/ab", "/a", "/a/b/x", "/a/c", "/a/c/d"].map(found)).toEqual([1, 1, 2, 2, 5, 5]);
});
