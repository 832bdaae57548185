import { expect, test } from "bun:test";
import { parseMountInfo } from "./mount-info.ts";
import { limitsOfMount, mountLimitsOf } from "./mount-limits.ts";

const table = (options: string, device = "8:1") =>
  parseMountInfo(`1 0 0:1 / / rw - ext4 d rw\n2 1 ${device} /data /m ${options} - ext4 d rw`);

test("limits are those of the daemon's own mount and of the host's, where both have the same mounted", () => {
  expect(limitsOfMount("/m/x", table("ro,relatime"), table("rw"))).toEqual(["ro"]);
  expect(limitsOfMount("/m/x", table("rw,nosuid"), table("ro,noexec"))).toEqual(["ro", "nosuid", "noexec"]);
  expect(limitsOfMount("/m/x", table("rw"), table("ro", "8:2"))).toEqual([]);
  expect(limitsOfMount("/other", table("ro"), table("ro"))).toEqual([]);
  expect(limitsOfMount("/m", table("nodev"), [])).toEqual(["nodev"]);
});

test("a path of this host has those of the mount that it is on", async () => {
  const [limits] = await mountLimitsOf(["/proc/self/mountinfo"]);
  expect(limits).toBeDefined();
  expect(limits).not.toContain("ro");
});
