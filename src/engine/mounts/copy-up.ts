/** An empty volume gets what the image has at its target, with owners and modes. */
import { mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { isHullError } from "../../contract/errors.ts";
import type { FilePart } from "../../wall/files.ts";
import type { EngineContext } from "../context.ts";
import { newId } from "../names.ts";
import { runtimeDirectory } from "../plan.ts";
import type { WorkloadRecord } from "../record.ts";
import type { WorkloadMount } from "./mount-request.ts";

/**
 * The image's files are looked at through the container wall, whichever wall the workload is behind. What is copied
 * takes the volume's place at once when it is whole: a copy that a crash cut short leaves the volume empty. Only a
 * volume that other workloads have, too, or that is mounted from elsewhere, is filled as it is: another one that
 * starts at this moment may have its directory mounted already.
 */
export async function copyUp(
  context: EngineContext,
  record: WorkloadRecord,
  { target, source }: WorkloadMount,
): Promise<void> {
  const { spec } = record;
  if (spec.layers.length === 0) return;
  using _lock = await context.copyingUp.acquire();
  const volume = context.volumes.get(source);
  if (!(await isEmptyVolume(volume.mountpoint))) return;
  const parent = join(volume.mountpoint, "..");
  const shared = context.workloads
    .all()
    .some(
      ({ id, record: other }) => id !== record.id && other.mounts.some((mount) => mount.source === source),
    );
  const name = shared || Object.keys(volume.options).length > 0 ? dataName : copyName;
  const id = newId();
  const directory = await mkdtemp(join(context.root, "workloads", "copy-"));
  try {
    const image = {
      ...spec,
      id,
      mounts: [],
      directory,
      runtimeDirectory: runtimeDirectory(context.state, id),
    };
    await using opened = await context.walls.container.openFiles(image);
    const path = Buffer.from(target, "utf8").toString("latin1");
    // A link at the target leads where the mount will be.
    const { type } = await opened.files.status(`${path}/.`);
    if (type !== "directory") return;
    await rm(join(parent, copyName), { recursive: true, force: true });
    const parts = below(name, opened.files.read(`${path}/.`));
    await context.filesOf(parent).write("/", parts, { keepKind: false });
    // rename(2) puts a directory in the place of an empty one.
    if (name === copyName) await rename(join(parent, copyName), volume.mountpoint);
  } catch (error) {
    if (!isHullError(error, "noSuchFile") && !isHullError(error, "notDirectory")) throw error;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

const dataName = "_data";
const copyName = "_copy";

/** A file system of its own has this directory, and is empty all the same. */
export async function isEmptyVolume(directory: string): Promise<boolean> {
  return (await readdir(directory)).every((name) => name === "lost+found");
}

/** Names the parts from the volume's own directory on, so that its directory gets the target's owner and mode, too. */
async function* below(
  name: string,
  parts: AsyncIterable<FilePart>,
): AsyncGenerator<FilePart, void, undefined> {
  for await (const part of parts) {
    if (!("entry" in part)) yield part;
    else {
      const { entry } = part;
      const at = (path: string): string => (path === "" ? name : `${name}/${path}`);
      const linkTarget = entry.type === "hardlink" ? at(entry.linkTarget) : entry.linkTarget;
      yield { entry: { ...entry, path: at(entry.path), linkTarget } };
    }
  }
}
