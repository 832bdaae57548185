/** Versions of outside programs: read from what they print, and compared. */

/** The first version number in a program's output, e.g. `1.8.1` in `crun version 1.8.1`. */
export function versionIn(text: string): string | undefined {
  return /\b(\d+\.\d+(?:\.\d+)?)/.exec(text)?.[1];
}

/** Negative, zero or positive, as the first version is older than, equal to or newer than the second. */
export function compareVersions(one: string, other: string): number {
  const ours = one.split(".").map(Number);
  const theirs = other.split(".").map(Number);
  for (let index = 0; index < Math.max(ours.length, theirs.length); index++) {
    const difference = (ours[index] ?? 0) - (theirs[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
