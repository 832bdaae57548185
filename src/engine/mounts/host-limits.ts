/** Binds and volumes are no more behind a wall than what the host has mounted at their source: read-only stays so. */
import { mountLimitsOf } from "../../host/mount-limits.ts";
import type { SandboxMount } from "../../wall/wall.ts";

/** For mounts that are held (./hold-mounts.ts). */
export async function withLimitsOfHost(mounts: readonly SandboxMount[]): Promise<SandboxMount[]> {
  return await Promise.all(
    mounts.map(async (mount) => {
      if (mount.type !== "bind") return mount;
      const limits = await mountLimitsOf(mount.source);
      const options = limits.filter((limit) => limit !== "ro" && !mount.options.includes(limit));
      const readOnly = mount.readOnly || limits.includes("ro");
      return { ...mount, readOnly, options: [...mount.options, ...options] };
    }),
  );
}
