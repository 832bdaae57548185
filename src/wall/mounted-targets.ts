/** Where the workload's own mounts are, for access to its files (files.ts). */
import type { SandboxMount } from "./wall.ts";

/** What the kernel mounts there is no file of the workload's, and hides what is below. */
const kernels = ["/proc", "/sys", "/dev"];

/**
 * Targets in the order of the mounts, in the characters of files.ts. Without `running`, there is no tmpfs, and what
 * would be mounted below one has no place.
 */
export function mountedTargets(mounts: readonly SandboxMount[], running: boolean): string[] {
  const hidden = [
    ...kernels,
    ...(running ? [] : mounts.filter(({ type }) => type === "tmpfs").map(({ target }) => target)),
  ];
  return mounts
    .filter(({ target }) => !hidden.some((path) => target === path || target.startsWith(`${path}/`)))
    .map(({ target }) => Buffer.from(target, "utf8").toString("latin1"));
}
