/** The mount table (/proc/PID/mountinfo, proc_pid_mountinfo(5)). */

export interface MountInfo {
  readonly id: number;
  readonly parentId: number;
  /** The directory of the file system that is mounted. */
  readonly root: string;
  readonly mountPoint: string;
  readonly type: string;
  readonly source: string;
  readonly superOptions: readonly string[];
}

/** Parses a mount table; lines that are not of the format are left out. */
export function parseMountInfo(table: string): MountInfo[] {
  const mounts: MountInfo[] = [];
  for (const line of table.split("\n")) {
    const [before, after] = line.split(" - ");
    const [id, parentId, , root, mountPoint] = (before ?? "").split(" ");
    const [type, source, options] = (after ?? "").split(" ");
    if (root === undefined || mountPoint === undefined || type === undefined) continue;
    mounts.push({
      id: Number(id),
      parentId: Number(parentId),
      root: unescapeOctal(root),
      mountPoint: unescapeOctal(mountPoint),
      type,
      source: unescapeOctal(source ?? ""),
      superOptions: (options ?? "").split(","),
    });
  }
  return mounts;
}

/** Blank, tab, newline and backslash are written as octal escapes. */
function unescapeOctal(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}
