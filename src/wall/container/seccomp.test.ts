import { describe, expect, test } from "bun:test";
import { kernelAtLeast, parseSeccompProfile, type SeccompFacts, seccompFor } from "./seccomp.ts";

const profile = parseSeccompProfile(
  JSON.stringify({
    defaultAction: "SCMP_ACT_ERRNO",
    defaultErrnoRet: 38,
    archMap: [
      { architecture: "SCMP_ARCH_X86_64", subArchitectures: ["SCMP_ARCH_X86", "SCMP_ARCH_X32"] },
      { architecture: "SCMP_ARCH_AARCH64", subArchitectures: ["SCMP_ARCH_ARM"] },
    ],
    syscalls: [
      {
        names: ["read", "write"],
        action: "SCMP_ACT_ALLOW",
        args: [],
        comment: "",
        includes: {},
        excludes: {},
      },
      { names: ["mount"], action: "SCMP_ACT_ALLOW", includes: { caps: ["CAP_SYS_ADMIN"] } },
      {
        names: ["clone"],
        action: "SCMP_ACT_ALLOW",
        args: [{ index: 0, value: 7, valueTwo: 0, op: "SCMP_CMP_MASKED_EQ" }],
        excludes: { caps: ["CAP_SYS_ADMIN"], arches: ["s390x"] },
      },
      { names: ["arch_prctl"], action: "SCMP_ACT_ALLOW", includes: { arches: ["amd64", "x32"] } },
      { names: ["ptrace"], action: "SCMP_ACT_ALLOW", includes: { minKernel: "4.8" } },
      { names: ["setns"], action: "SCMP_ACT_ERRNO", errnoRet: 1, args: null },
      { names: [], action: "SCMP_ACT_ALLOW" },
    ],
  }),
  "test",
);

const facts: SeccompFacts = { capabilities: ["CAP_CHOWN"], architecture: "x64", kernel: "6.18.44-cloud" };

describe("a seccomp profile", () => {
  test("becomes plain rules for these capabilities, this architecture and kernel", () => {
    expect(seccompFor(profile, facts)).toEqual({
      defaultAction: "SCMP_ACT_ERRNO",
      defaultErrnoRet: 38,
      architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
      syscalls: [
        { names: ["read", "write"], action: "SCMP_ACT_ALLOW" },
        {
          names: ["clone"],
          action: "SCMP_ACT_ALLOW",
          args: [{ index: 0, value: 7, valueTwo: 0, op: "SCMP_CMP_MASKED_EQ" }],
        },
        { names: ["arch_prctl"], action: "SCMP_ACT_ALLOW" },
        { names: ["ptrace"], action: "SCMP_ACT_ALLOW" },
        { names: ["setns"], action: "SCMP_ACT_ERRNO", errnoRet: 1 },
      ],
    });
  });

  test("has other rules with a capability, on another architecture, on an old kernel", () => {
    const names = (changes: Partial<SeccompFacts>): string[] =>
      seccompFor(profile, { ...facts, ...changes }).syscalls.flatMap((rule) => [...rule.names]);
    expect(names({ capabilities: ["CAP_SYS_ADMIN"] })).toEqual([
      "read",
      "write",
      "mount",
      "arch_prctl",
      "ptrace",
      "setns",
    ]);
    expect(names({ architecture: "arm64" })).not.toContain("arch_prctl");
    expect(names({ kernel: "4.4.0" })).not.toContain("ptrace");
  });

  test("that is no profile is refused with its path", () => {
    expect(() => parseSeccompProfile("{}", "/etc/x.json")).toThrow("/etc/x.json is corrupt");
    expect(() => parseSeccompProfile("{", "/etc/x.json")).toThrow("/etc/x.json is corrupt");
  });
});

test("kernel versions are compared by number", () => {
  expect(kernelAtLeast("4.10.0", "4.8")).toBe(true);
  expect(kernelAtLeast("4.8-rc1", "4.8")).toBe(true);
  expect(kernelAtLeast("3.19.9", "4.8")).toBe(false);
  expect(kernelAtLeast("5.0", "4.8")).toBe(true);
});
