/** The size of the writable layer: a full one is an error inside, and nothing outside. */
import { expect, test } from "bun:test";
import { onBothWalls, testTimeout } from "../support/scenario.ts";

onBothWalls("the writable layer's size", ({ wall, ok, hull, name }) => {
  test(
    "a full layer is ENOSPC inside, keeps what it has, and takes no more of the host",
    async () => {
      const box = name("sized");
      const options = ["--isolation", wall, "--name", box, "--storage-opt", "size=64m"];
      const fill =
        "dd if=/dev/zero of=/full bs=1M count=200 2>&1 | grep -o 'No space left.*'; echo kept > /bin/kept; ls /full";
      await ok(["create", ...options, "hull/tiny", "sh", "-c", fill]);
      expect(await ok(["start", "-a", box])).toContain("No space left on device");
      const [{ HostConfig, Id, SizeRw }] = JSON.parse(await ok(["inspect", "-s", box]));
      expect(HostConfig.StorageOpt).toEqual({ size: String(64 * 1024 ** 2) });
      expect(SizeRw).toBeGreaterThan(30 * 1024 ** 2);
      expect(SizeRw).toBeLessThan(80 * 1024 ** 2);
      expect(await ok(["diff", box])).toContain("A /full");
      // It starts again with what it had.
      await ok(["start", "-a", box]);
      await ok(["rm", box]);
      expect(await ok(["ps", "-a", "-q", "--no-trunc"])).not.toContain(Id);
    },
    testTimeout,
  );

  test(
    "sizes that cannot be are refused",
    async () => {
      for (const option of ["size=1k", "size=x", "size=99999t", "other=1"]) {
        const refused = await hull(["create", "--isolation", wall, "--storage-opt", option, "hull/tiny"]);
        expect(refused.code).not.toBe(0);
        expect(refused.stderr).toContain("storage option");
      }
    },
    testTimeout,
  );
});
