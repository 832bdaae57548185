import { describe, expect, test } from "bun:test";
import { resolveUser } from "./user.ts";

const passwd = `root:x:0:0:root:/root:/bin/sh
# a comment
alice:x:1000:1000:Alice:/home/alice:/bin/sh
1001:x:2002:2002::/home/number:
broken
`;
const group = `root:x:0:
alice:x:1000:
audio:x:29:bob,alice
video:x:44:alice
0alice:x:45:0alice
`;

const resolve = (user: string): unknown => resolveUser(user, passwd, group);

describe("a user of an image", () => {
  test("is root when nothing is said", () => {
    expect(resolve("")).toEqual({ uid: 0, gid: 0, additionalGids: [], home: "/root" });
    expect(resolveUser("", "", "")).toEqual({ uid: 0, gid: 0, additionalGids: [], home: "/" });
  });

  test("by name or number has its entry's group, home and listed groups", () => {
    const alice = { uid: 1000, gid: 1000, additionalGids: [29, 44], home: "/home/alice" };
    expect(resolve("alice")).toEqual(alice);
    expect(resolve("1000")).toEqual(alice);
  });

  test("with a group has that group alone", () => {
    expect(resolve("alice:audio")).toEqual({ uid: 1000, gid: 29, additionalGids: [], home: "/home/alice" });
    expect(resolve("alice:4444")).toMatchObject({ gid: 4444, additionalGids: [] });
    expect(resolve(":audio")).toMatchObject({ uid: 0, gid: 29 });
  });

  test("by a number without an entry is in group 0", () => {
    expect(resolve("4321")).toEqual({ uid: 4321, gid: 0, additionalGids: [], home: "/" });
    expect(resolve("4321:8765")).toMatchObject({ uid: 4321, gid: 8765 });
  });

  test("whose name is a number is found by name first", () => {
    expect(resolve("1001")).toMatchObject({ uid: 2002, home: "/home/number" });
  });

  test("that is unknown, or out of range, is refused", () => {
    for (const user of ["bob", "bob:0", "alice:nogroup", "-1", "4294967296", "0:4294967295", "1e3"])
      expect(() => resolve(user)).toThrow(`unable to find user ${user}`);
  });
});
