/** What is at a path of this machine, as `cp` sees it. */
import { lstatSync, readlinkSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";

export interface LocalPlace {
  readonly exists: boolean;
  readonly isDirectory: boolean;
}

export function placeOf(path: string): LocalPlace {
  const status = statSync(path, { throwIfNoEntry: false });
  return { exists: status !== undefined, isDirectory: status?.isDirectory() ?? false };
}

/** The directory that something is put into, and the name that it gets there. */
export interface Target {
  readonly directory: string;
  readonly name: string;
}

/** Whether a path says by itself that it is a directory: it ends in `/`, `.` or `..`. */
export function assertsDirectory(path: string): boolean {
  return path === "" || /(^|\/)\.{0,2}$/.test(path);
}

/** `/a/.` means what is in the directory. */
export function meansContents(path: string): boolean {
  return /(^|\/)\.$/.test(path);
}

/**
 * Where a copy goes, by Docker's rules: into a directory that is there; onto a file that is there, or beside others
 * under a new name otherwise. Source: docker cp reference, "Description".
 */
export function targetOf(
  source: { readonly name: string; readonly isDirectory: boolean; readonly contents: boolean },
  destination: { readonly path: string } & LocalPlace,
): Target {
  const { path, exists, isDirectory } = destination;
  if (exists && isDirectory) return { directory: path, name: source.contents ? "." : source.name };
  if (exists && source.isDirectory) throw new Error("cannot copy a directory to a file");
  if (!source.isDirectory && assertsDirectory(path))
    throw new Error(`no such directory: ${path} (a file cannot become one)`);
  const clean = path.replace(/\/+(\.?)$/, "") || "/";
  return { directory: dirname(clean), name: basename(clean) };
}

/** Links at the end of a destination are followed, as far as there are any. */
export function followDestination(path: string): string {
  let at = path;
  for (let hops = 0; hops < 10; hops++) {
    const status = lstatSync(at, { throwIfNoEntry: false });
    if (status?.isSymbolicLink() !== true) return at;
    const target = readlinkSync(at);
    at = target.startsWith("/") ? target : join(dirname(at), target);
  }
  throw new Error(`too many symbolic links at ${path}`);
}

/** The place that a source link leads to. */
export function followSource(path: string): string {
  return realpathSync(path);
}
