/** The control group above those of all sandboxes, whichever wall they are behind. Daemons side by side share it. */
import { detectCgroupLayout, removeEmptyCgroup } from "../../host/cgroup.ts";

export const cgroupParent = "/hull";

/**
 * Takes the parent away if nothing is in it. Every wall does so as it closes, whether or not it made a sandbox:
 * an earlier daemon may have, and been killed.
 */
export function removeIdleCgroupParent(): void {
  removeEmptyCgroup(detectCgroupLayout(), cgroupParent);
}
