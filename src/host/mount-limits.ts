/**
 * What may not be done on a mount of the host: `ro`, `nosuid`, `nodev`, `noexec`. A bind of a bind keeps these by
 * itself (mount(2)), but crun sets a bind's flags anew, and what the host sets on a mount after the daemon's
 * namespace has received it (`mount -o bind,ro` is two system calls) stays the host's: flags are not propagated.
 */
import { readFile, realpath } from "node:fs/promises";
import { type MountInfo, mountOfPath, parseMountInfo } from "./mount-info.ts";
import { hostMounts } from "./mount-namespace.ts";

const limiting = ["ro", "nosuid", "nodev", "noexec"] as const;
export type MountLimit = (typeof limiting)[number];

/** For paths that answer (see ./answering.ts), in their order. */
export async function mountLimitsOf(paths: readonly string[]): Promise<MountLimit[][]> {
  if (paths.length === 0) return [];
  const own = parseMountInfo(await readFile("/proc/self/mountinfo", "utf8"));
  const host = hostMounts();
  // Who mounts it says what is wrong with a path that is gone.
  const real = await Promise.all(paths.map((path) => realpath(path).catch(() => path)));
  return real.map((path) => limitsOfMount(path, own, host));
}

/** The host's table counts where it has the same mounted. */
export function limitsOfMount(
  path: string,
  own: readonly MountInfo[],
  host: readonly MountInfo[],
): MountLimit[] {
  const mine = mountOfPath(own, path);
  const theirs = mountOfPath(host, path);
  const same = theirs?.device === mine?.device && theirs?.root === mine?.root;
  const options = [...(mine?.options ?? []), ...(same ? (theirs?.options ?? []) : [])];
  return limiting.filter((limit) => options.includes(limit));
}
