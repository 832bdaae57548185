/** A container's files, through the program hull-files (guest/host): one process for each operation. */
import { closeSync, openSync, rmSync } from "node:fs";
import { HullError } from "../../contract/errors.ts";
import { unmount } from "../../host/mount.ts";
import { FilesByProcess, type FilesProcess } from "../files/files-by-process.ts";
import { requireProgram, spawnFiles } from "../files/host-files.ts";
import type { Files } from "../files.ts";
import { mountedTargets } from "../mounted-targets.ts";
import type { OpenFiles, SandboxSpec } from "../wall.ts";
import { mountForFiles } from "./file-mounts.ts";
import type { LayerMounts } from "./layer-mounts.ts";
import { mountOverlay } from "./overlay.ts";
import { openLayerDirectory } from "./sized-layer.ts";

/** Where the files are: in a running container's mount name space, or mounted here. */
type Root = { readonly runningPid: () => number } | { readonly path: string };

export interface FilesParts {
  readonly spec: SandboxSpec;
  readonly program: string;
  readonly layers: LayerMounts;
}

export function filesOf(parts: FilesParts, root: Root): Files {
  const { name, mounts = [] } = parts.spec;
  return new FilesByProcess({
    name,
    mounts: mountedTargets(mounts, "runningPid" in root),
    start: () => startFiles(parts, root),
  });
}

/** Mounts the root file system of a container that does not run, until disposed of. */
export async function openFiles(parts: FilesParts): Promise<OpenFiles> {
  const { spec, layers } = parts;
  const path = `${spec.runtimeDirectory}/rootfs`;
  await using undo = new AsyncDisposableStack();
  undo.defer(() => rmSync(spec.runtimeDirectory, { recursive: true, force: true }));
  const lease = undo.use(await layers.lease(spec.layers));
  const layer = undo.use(await openLayerDirectory(spec));
  mountOverlay(lease, layer.path, path);
  undo.defer(() => unmount(path));
  mountForFiles(path, spec.mounts ?? []);
  const kept = undo.move();
  return { files: filesOf(parts, { path }), [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

async function startFiles(parts: FilesParts, root: Root): Promise<FilesProcess> {
  const { spec, program, layers } = parts;
  requireProgram(program);
  using acquired = new DisposableStack();
  const layer = acquired.use(await openLayerDirectory(spec));
  const upper = `${layer.path}/upper`;
  const lease = acquired.use(await layers.lease(spec.layers));
  const places = [upper, ...lease.names.toReversed().map((name) => `${lease.base}/${name}`)];
  if ("path" in root) return spawnFiles([program, "-", root.path, ...places], undefined, acquired.move());
  const nameSpace = openNameSpace(root.runningPid);
  try {
    return spawnFiles([program, "3", "/", ...places], nameSpace, acquired.move());
  } finally {
    closeSync(nameSpace);
  }
}

/** The process is looked at again once its name space is held: its number may have become another's. */
function openNameSpace(runningPid: () => number): number {
  const pid = runningPid();
  const descriptor = openSync(`/proc/${pid}/ns/mnt`, "r");
  try {
    if (runningPid() === pid) return descriptor;
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
  closeSync(descriptor);
  throw new HullError("internal", { what: "a container's first process became another" });
}
