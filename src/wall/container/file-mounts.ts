/** The mounts of a container that does not run, made in its root file system for access to its files. */
import { closeSync, constants, openSync, statSync } from "node:fs";
import { posix } from "node:path";
import { HullError } from "../../contract/errors.ts";
import { makeReadOnly, mount, mountFlag } from "../../host/mount.ts";
import { makeDirectoryInRoot, withPathInRoot } from "../../host/rooted.ts";
import { errnoNameOf, reasonOf } from "../../host/system-error.ts";
import { mountedTargets } from "../mounted-targets.ts";
import type { SandboxMount } from "../wall.ts";

/** They go with the root file system's own mount. */
export function mountForFiles(root: string, mounts: readonly SandboxMount[]): void {
  const targets = new Set(mountedTargets(mounts, false));
  for (const each of mounts) {
    const { source, target } = each;
    if (!targets.has(Buffer.from(target, "utf8").toString("latin1"))) continue;
    try {
      mountOne(root, each);
    } catch (error) {
      const code = errnoNameOf(error);
      if (code === undefined) throw error;
      throw new HullError(
        "conflict",
        { what: `cannot mount ${source} at ${target}: ${reasonOf(code)}` },
        { cause: error },
      );
    }
  }
}

/** The root is not trusted: every path is looked up in it. */
function mountOne(root: string, { source, target, readOnly }: SandboxMount): void {
  if (statSync(source).isDirectory()) makeDirectoryInRoot(root, target);
  else makeFileInRoot(root, target);
  withPathInRoot(root, target, (place) =>
    mount({
      source,
      target: `/proc/self/fd/${place}`,
      flags: mountFlag.bind | mountFlag.recursive,
    }),
  );
  if (readOnly) withPathInRoot(root, target, (mounted) => makeReadOnly(mounted, target));
}

function makeFileInRoot(root: string, path: string): void {
  if (withPathInRoot(root, path, () => true)) return;
  const { dir, base } = posix.parse(path);
  makeDirectoryInRoot(root, dir);
  withPathInRoot(root, dir, (parent) =>
    closeSync(
      openSync(`/proc/self/fd/${parent}/${base}`, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY),
    ),
  );
}
