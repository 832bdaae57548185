/** The mount table (/proc/PID/mountinfo, proc_pid_mountinfo(5)). */

export interface MountInfo {
  readonly id: number;
  readonly parentId: number;
  /** Number of the file system's device, `major:minor`. */
  readonly device: string;
  /** The directory of the file system that is mounted. */
  readonly root: string;
  readonly mountPoint: string;
  /** What holds for this mount alone: `ro`, `nosuid`… */
  readonly options: readonly string[];
  readonly type: string;
  readonly source: string;
  readonly superOptions: readonly string[];
}

/** Parses a mount table; lines that are not of the format are left out. */
export function parseMountInfo(table: string): MountInfo[] {
  const mounts: MountInfo[] = [];
  for (const line of table.split("\n")) {
    const [before, after] = line.split(" - ");
    const [id, parentId, device, root, mountPoint, own] = (before ?? "").split(" ");
    const [type, source, superOptions] = (after ?? "").split(" ");
    if (root === undefined || mountPoint === undefined || type === undefined) continue;
    mounts.push({
      id: Number(id),
      parentId: Number(parentId),
      device: device ?? "",
      root: unescapeOctal(root),
      mountPoint: unescapeOctal(mountPoint),
      options: (own ?? "").split(","),
      type,
      source: unescapeOctal(source ?? ""),
      superOptions: (superOptions ?? "").split(","),
    });
  }
  return mounts;
}

/** The mount that a path without links is on: the one that a walk from the root ends in. */
export function mountOfPath(mounts: readonly MountInfo[], path: string): MountInfo | undefined {
  const ids = new Set(mounts.map(({ id }) => id));
  const leads = ({ mountPoint }: MountInfo): boolean =>
    mountPoint === "/" || path === mountPoint || path.startsWith(`${mountPoint}/`);
  const onTheWay = mounts.filter(leads);
  let found = onTheWay.find(({ parentId, mountPoint }) => mountPoint === "/" && !ids.has(parentId));
  for (;;) {
    const parent = found?.id;
    // The walk comes to the shortest first, and never sees what is below that in the mount it has left.
    const [next] = onTheWay
      .filter(({ id, parentId }) => parentId === parent && id !== parent)
      .sort((a, b) => a.mountPoint.length - b.mountPoint.length);
    if (next === undefined) return found;
    found = next;
  }
}

/** Blank, tab, newline and backslash are written as octal escapes. */
function unescapeOctal(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}
