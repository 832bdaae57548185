/**
 * Before a workload's sandbox is made: its volumes are held, the directories of its binds are there, parts of
 * volumes are mounted in places of their own, and empty volumes get what the image has.
 */
import { lstatSync, mkdirSync, readdirSync, rmdirSync, unlinkSync, writeFileSync } from "node:fs";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { HullError } from "../../contract/errors.ts";
import type { WallKind } from "../../contract/isolation.ts";
import { requireAnswer } from "../../host/answering.ts";
import { mount, mountFlag, unmount } from "../../host/mount.ts";
import { withPathInRoot } from "../../host/rooted.ts";
import { errnoNameOf, explainWriteError } from "../../host/system-error.ts";
import type { EngineContext } from "../context.ts";
import type { WorkloadRecord } from "../record.ts";
import { copyUp, isEmptyVolume } from "./copy-up.ts";
import type { WorkloadMount } from "./mount-request.ts";

/** Holds what the workload mounts until disposed of. */
export async function holdMounts(context: EngineContext, record: WorkloadRecord): Promise<AsyncDisposable> {
  await using held = new AsyncDisposableStack();
  for (const each of record.mounts) {
    if (each.type === "bind") await requireSource(each, record.wall);
    if (each.type !== "volume") continue;
    held.use(await context.volumes.hold(each.source));
    const { mountpoint: whole, options } = context.volumes.get(each.source);
    if (options.type !== undefined) await requireAnswer(whole);
    if (!each.noCopy && each.subpath === "" && (await isEmptyVolume(whole)))
      await copyUp(context, record, each);
    if (each.subpath !== "") held.use(mountPart(whole, each));
    emitMount(context, record, each);
    held.defer(() => emitUnmount(context, record, each));
  }
  return held.move();
}

/** As after a restart of the daemon: the workload runs, so nothing is made but what keeps its volumes in place. */
export async function holdAgain(context: EngineContext, record: WorkloadRecord): Promise<AsyncDisposable> {
  await using held = new AsyncDisposableStack();
  for (const each of record.mounts) {
    if (each.type !== "volume") continue;
    held.use(await context.volumes.holdAgain(each.source));
    held.defer(() => emitUnmount(context, record, each));
  }
  return held.move();
}

/** As Docker tells of it (moby, daemon/volumes_unix.go). */
function emitMount(context: EngineContext, { id }: WorkloadRecord, mount: WorkloadMount): void {
  context.events.emit("volume", "mount", mount.source, {
    container: id,
    destination: mount.target,
    driver: "local",
    propagation: "",
    "read/write": String(!mount.readOnly),
  });
}

function emitUnmount(context: EngineContext, { id }: WorkloadRecord, { source }: WorkloadMount): void {
  context.events.emit("volume", "unmount", source, { container: id, driver: "local" });
}

/** Throws for a bind whose source is not there, or that would be of no use behind this wall. */
export async function requireSource(
  { source, makeSource }: Pick<WorkloadMount, "source" | "makeSource">,
  wall: WallKind,
): Promise<void> {
  await requireAnswer(source);
  await refuseSocket(source, wall);
  try {
    await stat(source);
    return;
  } catch (error) {
    if (errnoNameOf(error) !== "ENOENT" || !makeSource)
      throw new HullError(
        "invalidParameter",
        {
          what: "mount source",
          value: source,
          why: `bind source path does not exist, or cannot be looked at (${errnoNameOf(error)})`,
        },
        { cause: error },
      );
  }
  try {
    mkdirSync(source, { recursive: true });
  } catch (error) {
    throw explainWriteError(error, "the directory of a bind mount", source);
  }
}

/** Throws `unsupported` for a bind that would be of no use behind the wall. For a source that is known to answer. */
export async function refuseSocket(source: string, wall: WallKind): Promise<void> {
  if (wall !== "vm") return;
  if ((await stat(source).catch(() => undefined))?.isSocket() !== true) return;
  throw new HullError("unsupported", {
    what: `a bind of the socket ${source}`,
    where: " on the vm wall",
    why: "who listens there does so in the host's kernel, and a virtual machine has its own: use a port on a network, or the container wall",
  });
}

/** Binds a part of a volume to the workload's own place, so that nobody can move it away under the mount. */
function mountPart(whole: string, { subpath, path, source }: WorkloadMount): Disposable {
  const found = withPathInRoot(whole, subpath, (descriptor, isDirectory) => {
    mkdirSync(join(path, ".."), { recursive: true, mode: 0o700 });
    removePlace(path);
    if (isDirectory) mkdirSync(path);
    else writeFileSync(path, "");
    mount({
      source: `/proc/self/fd/${descriptor}`,
      target: path,
      flags: mountFlag.bind | mountFlag.recursive,
    });
    return true;
  });
  if (found === undefined)
    throw new HullError("invalidParameter", {
      what: "volume subpath",
      value: subpath,
      why: `volume ${source} has nothing there`,
    });
  return {
    [Symbol.dispose]() {
      unmount(path);
      removePlace(path);
      const all = join(path, "..");
      if (readdirSync(all).length === 0) rmdirSync(all);
    },
  };
}

/** What a mount was on, or was to be: an empty file or directory. Nothing is in it, or it is still a mount and stays. */
function removePlace(path: string): void {
  const status = lstatSync(path, { throwIfNoEntry: false });
  if (status?.isDirectory()) rmdirSync(path);
  else if (status !== undefined) unlinkSync(path);
}

/** The workload's volumes that were made for it alone; a volume that is gone, or that others use by now, is left. */
export async function removeAnonymousVolumes(context: EngineContext, record: WorkloadRecord): Promise<void> {
  const sources = record.mounts.filter(({ anonymous }) => anonymous).map(({ source }) => source);
  await removeUnused(context, record.id, sources);
}

/** Removes volumes that are there and that no workload but the one of that id has. */
export async function removeUnused(
  context: EngineContext,
  id: string,
  names: readonly string[],
): Promise<void> {
  for (const name of names) {
    if (context.volumes.find(name) === undefined) continue;
    const others = context.workloads.all().filter((other) => other.id !== id);
    if (others.some(({ record }) => record.mounts.some((mount) => usesVolume(mount, name)))) continue;
    await context.volumes.remove(name);
    context.events.emit("volume", "destroy", name, { driver: "local" });
  }
}

export function usesVolume(mount: WorkloadMount, name: string): boolean {
  return mount.type === "volume" && mount.source === name;
}
