/**
 * A workload that does not run moves to the other wall: it keeps all but the wall. Its writable layer is written anew
 * there, from what the old wall says of it; both are in the workload's directory under names of their own. The record
 * changes once, when the new layer is whole: a crash leaves the workload behind either wall, never between them.
 */
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { HullError, messageOf } from "../contract/errors.ts";
import type { WallKind } from "../contract/isolation.ts";
import { requireAnswer } from "../host/answering.ts";
import type { LayerPart, WritePart } from "../wall/files.ts";
import type { SandboxSpec } from "../wall/wall.ts";
import { type EngineContext, emit, settle } from "./context.ts";
import { isPlaceholder } from "./files/placeholders.ts";
import { refuseSocket } from "./mounts/hold-mounts.ts";
import { clearSandbox } from "./resting.ts";
import type { Workload } from "./workload.ts";

/** `isolation`: the wall in the client's word, shown by inspect. */
export async function moveWorkload(
  context: EngineContext,
  workload: Workload,
  wall: WallKind,
  isolation: string,
): Promise<void> {
  using _lock = await workload.lock.acquire();
  requireMovable(workload);
  const from = workload.record.wall;
  if (from === wall) return;
  const { unavailable } = await context.walls[wall].features();
  if (unavailable !== undefined)
    throw new HullError("unsupported", { what: `the ${wall} wall`, where: " here", why: unavailable });
  context.networks.requireWall(workload.id, wall);
  for (const { type, source } of workload.record.mounts) {
    if (type !== "bind") continue;
    await requireAnswer(source);
    await refuseSocket(source, wall);
  }
  if (workload.record.life.sandbox) await clearSandbox(context, workload);
  await discard(context, workload);
  settle(context, workload, workload.state, { discard: wall, sandbox: true });
  context.failpoint("move:record");
  try {
    await copyLayer(context, workload, wall);
    context.failpoint("move:layer");
    switchWall(context, workload, wall, isolation);
  } catch (error) {
    await discard(context, workload).catch((undoError: unknown) => {
      context.log.error("could not undo a move", { id: workload.id, why: messageOf(undoError) });
    });
    settle(context, workload, workload.state, { sandbox: false });
    throw error;
  }
  context.failpoint("move:switch");
  await discard(context, workload);
  emit(context, workload, "update", { isolation: wall, from });
}

function requireMovable({ state, record: { name } }: Workload): void {
  if (state === "created" || state === "exited") return;
  throw new HullError("workloadRunning", { name, state, why: "stop it before it moves to another wall" });
}

/** Removes what a move left, or would leave, of the layer behind the wall that the workload is not behind. */
export async function discard(context: EngineContext, workload: Workload): Promise<void> {
  const { record } = workload;
  const wall = record.life.discard;
  if (wall === undefined || wall === record.wall) return;
  context.networks.changeWall(record.id, record.wall);
  const spec = besides(record.spec);
  await (await context.walls[wall].recover(spec))?.remove();
  await rm(spec.runtimeDirectory, { recursive: true, force: true });
  for (const name of context.walls[wall].layerNames)
    await rm(join(spec.directory, name), { recursive: true, force: true });
  settle(context, workload, workload.state, { discard: undefined });
}

/** The new layer is opened while the old one is, in a place of its own. */
function besides(spec: SandboxSpec): SandboxSpec {
  return { ...spec, mounts: [], runtimeDirectory: `${spec.runtimeDirectory}m` };
}

async function copyLayer(context: EngineContext, workload: Workload, wall: WallKind): Promise<void> {
  const { record } = workload;
  const { spec } = record;
  const old = context.walls[record.wall];
  // One that has never been started has nothing to bring along.
  if (!old.layerNames.some((name) => existsSync(join(spec.directory, name)))) return;
  await using source = await old.openFiles({ ...spec, mounts: [] });
  await using target = await context.walls[wall].openFiles(besides(spec));
  await target.files.write("/", asWritten(source.files.layer()), { keepKind: false });
}

/** A layer as what is to be written over the image: a directory that hides the image's takes its place anew. */
export async function* asWritten(parts: AsyncIterable<LayerPart>): AsyncGenerator<WritePart> {
  let leftOut = false;
  for await (const part of parts) {
    if ("data" in part) {
      if (!leftOut) yield part;
      continue;
    }
    const { opaque, below, ...entry } = part.entry;
    // The other wall makes its own.
    leftOut = isPlaceholder(part.entry);
    if (leftOut) continue;
    if (opaque && below !== undefined && entry.path !== "") yield { entry: { ...entry, type: "whiteout" } };
    yield { entry };
  }
}

function switchWall(context: EngineContext, workload: Workload, wall: WallKind, isolation: string): void {
  const { record } = workload;
  const changed = {
    ...record,
    wall,
    request: { ...record.request, wall, isolation },
    life: { ...record.life, discard: record.wall, sandbox: false },
  };
  context.records.change(changed);
  workload.record = changed;
}
