import { describe, expect, test } from "bun:test";
import { FakeWall, FakeWorld } from "../testing/fake-wall.ts";
import { examine } from "./doctor.ts";
import { describeWeaknesses, weaknessesOf } from "./runtimes.ts";
import { compareVersions, versionIn } from "./versions.ts";

describe("versions", () => {
  test.each([
    ["crun version 1.8.1\ncommit: f8a096be0", "1.8.1"],
    ["QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)", "7.2.22"],
    ["xz (XZ Utils) 5.4.1", "5.4.1"],
    ["no number", undefined],
  ])("are found in %p", (text, version) => {
    expect(versionIn(text)).toBe(version);
  });

  test("are compared by number", () => {
    expect(compareVersions("1.10", "1.9")).toBeGreaterThan(0);
    expect(compareVersions("1.2", "1.2.0")).toBe(0);
    expect(compareVersions("1.1.12", "1.2.8")).toBeLessThan(0);
  });
});

describe("known weaknesses", () => {
  test("of runtimes below their floor, with the package to look at", () => {
    expect(weaknessesOf("crun", "1.28")).toEqual([]);
    expect(weaknessesOf("runc", "1.1.12")).toHaveLength(1);
    expect(weaknessesOf("runc", "1.1.5")).toHaveLength(2);
    expect(weaknessesOf("youki", "0.1")).toEqual([]);
    expect(describeWeaknesses("crun", "1.8.1", "crun 1.8.1-1+deb12u1")).toContain("crun 1.8.1-1+deb12u1");
    expect(describeWeaknesses("crun", "1.8.1", "")).toContain("CVE-2026-47766");
  });
});

test("what is missing is named with the command that mends it, and healthy is only a host that can work", async () => {
  const world = new FakeWorld();
  const walls = { container: new FakeWall("container", world), vm: new FakeWall("vm", world) };
  walls.vm.unavailable = "no QEMU: run `apt-get install qemu-system-x86`";
  const options = {
    runtime: "/no/crun",
    conmon: "/no/conmon",
    qemu: "/no/qemu",
    seccompProfile: "",
    guestDirectory: "/no/guest",
    walls,
    networksUnavailable: async () => undefined,
  };
  const report = await examine(options);
  const byName = Object.fromEntries(report.checks.map((check) => [check.name, check]));
  expect(report.healthy).toBe(false);
  expect(byName["OCI runtime"]).toMatchObject({ status: "missing", remedy: "apt-get install crun" });
  expect(byName.conmon).toMatchObject({ status: "missing", remedy: "apt-get install conmon" });
  expect(byName.QEMU).toMatchObject({ status: "warning" });
  expect(byName["guest kernel"]).toMatchObject({ status: "warning", remedy: "./setup" });
  expect(byName["hull-files"]).toMatchObject({ status: "warning", remedy: "./setup" });
  expect(byName["vm wall"]).toMatchObject({ remedy: "apt-get install qemu-system-x86" });
  expect(byName["seccomp profile"]).toMatchObject({ status: "warning" });
  for (const { name, found, meaning } of report.checks) {
    expect(name).not.toBe("");
    expect(found).not.toBe("");
    expect(meaning).not.toBe("");
  }
});
