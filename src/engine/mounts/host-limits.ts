/** Binds and volumes are no more behind a wall than what the host has mounted at their source: read-only stays so. */
import { mountLimitsOf } from "../../host/mount-limits.ts";
import type { SandboxMount } from "../../wall/wall.ts";

/** For mounts that are held (./hold-mounts.ts). */
export async function withLimitsOfHost(mounts: readonly SandboxMount[]): Promise<SandboxMount[]> {
  const binds = mounts.filter(({ type }) => type === "bind");
  const limits = await mountLimitsOf(binds.map(({ source }) => source));
  return mounts.map((mount) => {
    const own = limits[binds.indexOf(mount)] ?? [];
    const options = own.filter((limit) => limit !== "ro" && !mount.options.includes(limit));
    const readOnly = mount.readOnly || own.includes("ro");
    return { ...mount, readOnly, options: [...mount.options, ...options] };
  });
}
