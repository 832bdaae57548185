/**
 * Known weaknesses of OCI runtimes and the versions that mend them. A distribution mends older versions too, so
 * the version of its package is shown beside the program's own, and below the floor the verdict is a warning.
 */
import { compareVersions } from "./versions.ts";

interface Floor {
  readonly mendedIn: string;
  readonly weakness: string;
}

const floors: Readonly<Record<string, readonly Floor[]>> = {
  crun: [{ mendedIn: "1.28", weakness: "CVE-2026-47766 (/dev symlink) and CVE-2026-30892 (exec -u)" }],
  runc: [
    { mendedIn: "1.1.12", weakness: "CVE-2024-21626 (leaked working directory)" },
    { mendedIn: "1.2.8", weakness: "CVE-2025-31133, CVE-2025-52565 and CVE-2025-52881 (masked paths)" },
  ],
};

/** What is known of a runtime of this version; empty when nothing is. */
export function weaknessesOf(runtime: string, version: string): readonly Floor[] {
  return (floors[runtime] ?? []).filter((floor) => compareVersions(version, floor.mendedIn) < 0);
}

export function describeWeaknesses(runtime: string, version: string, packaged: string): string {
  const known = weaknessesOf(runtime, version);
  if (known.length === 0) return "it starts and confines the processes of the container wall and QEMU's jail";
  const list = known.map((floor) => `${floor.weakness} mended in ${floor.mendedIn}`).join("; ");
  const note =
    packaged === ""
      ? "it belongs to no package, so nothing says that they were mended"
      : `a distribution mends older versions too: see the changelog of its package ${packaged}`;
  return `older than the mended version for ${list}; ${note}`;
}
