/**
 * What a start of the daemon does with what an earlier one left: half-made workloads are undone, half-removed
 * ones finished, running ones found again, ended ones settled with their exit codes; directories without a
 * record and records without a directory go.
 */
import { existsSync } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { messageOf } from "../contract/errors.ts";
import { type EngineContext, settle } from "./context.ts";
import { type End, exitLocked, restartLater } from "./exit.ts";
import { removeLocked, startWorkload } from "./life-cycle.ts";
import { holdAgain } from "./mounts/hold-mounts.ts";
import { discard } from "./move.ts";
import { shortId } from "./names.ts";
import { runtimeDirectory, workloadDirectory } from "./plan.ts";
import type { WorkloadRecord } from "./record.ts";
import { clearSandbox } from "./resting.ts";
import { recoverSuspended, settleResumed } from "./suspend.ts";
import { Workload } from "./workload.ts";

const atOnce = 16;

export async function recoverWorkloads(context: EngineContext): Promise<void> {
  const { records, broken } = context.records.load();
  const waiting = records.map((record) => adopt(context, record));
  const known = new Set(records.map((record) => record.id));
  for (const { id, why } of broken) {
    const directory = existsSync(workloadDirectory(context.root, id));
    context.log.error(directory ? "a record cannot be read; its files are kept" : "forgot a broken record", {
      id,
      why,
    });
    if (directory) known.add(id);
    else context.records.forget(id);
  }
  const running = waiting.filter(({ live, state }) => live && state !== "suspended").map(({ id }) => id);
  await context.networks.recover(new Set(running), known);
  const worker = async (): Promise<void> => {
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) await recoverOne(context, next);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  await sweep(context, join(context.root, "workloads"), known);
  await sweep(context, join(context.state, "w"), new Set([...known].map(shortId)));
  // Mounts of parts of volumes went with the daemon that made them.
  await sweep(context, join(context.state, "m"), new Set());
}

function adopt(context: EngineContext, record: WorkloadRecord): Workload {
  const { id, name } = record;
  // The runtime directory is the present daemon's affair: its place may have been configured anew.
  const spec = { ...record.spec, name, runtimeDirectory: runtimeDirectory(context.state, id) };
  const workload = new Workload({ ...record, spec });
  context.workloads.add(workload);
  try {
    workload.lease = context.images.lease(record.image);
  } catch (error) {
    context.log.warn("the image of a workload is gone", { id, image: record.image, why: messageOf(error) });
  }
  return workload;
}

async function recoverOne(context: EngineContext, workload: Workload): Promise<void> {
  using _lock = await workload.lock.acquire();
  try {
    await recoverLocked(context, workload);
  } catch (error) {
    context.log.error("could not recover a workload", { id: workload.id, why: messageOf(error) });
  }
}

async function recoverLocked(context: EngineContext, workload: Workload): Promise<void> {
  const { record } = workload;
  const { life, request } = record;
  // The build that it was for died with its daemon.
  if (request.ofBuild) return await removeLocked(context, workload);
  switch (record.state) {
    case "creating":
      // Nobody has seen it, so nobody knows of volumes that were made for it.
      return await removeLocked(context, workload, { volumes: true });
    case "removing":
      return await removeLocked(context, workload, {
        volumes: life.removingVolumes ?? request.autoRemove,
      });
    case "dead":
      return;
    case "running":
    case "paused":
    case "suspended":
      if (await recoverSuspended(context, workload)) return;
      return await recoverLive(context, workload);
    case "starting":
      settle(context, workload, life.before ?? "created", { before: undefined });
      await clearSandbox(context, workload);
      if (life.before === "restarting") return restartLater(context, workload, 0);
      if (request.autoRemove) await removeLocked(context, workload);
      return;
    case "restarting":
      if (life.sandbox) await clearSandbox(context, workload);
      return restartLater(context, workload, 0);
    case "created":
    case "exited":
      return await recoverResting(context, workload);
  }
}

async function recoverLive(context: EngineContext, workload: Workload): Promise<void> {
  const { record } = workload;
  let end: End;
  try {
    const sandbox = await context.walls[record.wall].recover(record.spec);
    if (sandbox !== undefined) {
      workload.sandbox = sandbox;
      workload.heldMounts = await holdAgain(context, record).catch((error: unknown) => {
        context.log.warn("the volumes of a workload cannot be held", {
          id: workload.id,
          why: messageOf(error),
        });
        return undefined;
      });
      workload.stopping = record.life.stoppedByUser;
      // A crash may have come between the record and the freezing.
      if (record.state === "paused") await sandbox.pause().catch(() => {});
      // A crash may have come between the going on and the record of it.
      if (record.state === "suspended") return settleResumed(context, workload);
      return context.watch(workload, sandbox);
    }
    end = { lost: "the host was restarted, or the sandbox was taken away, while no daemon ran" };
  } catch (error) {
    end = { lost: `the sandbox could not be found again: ${messageOf(error)}` };
  }
  await exitLocked(context, workload, end);
}

async function recoverResting(context: EngineContext, workload: Workload): Promise<void> {
  const { record } = workload;
  const { life, request } = record;
  if (life.sandbox) await clearSandbox(context, workload);
  await discard(context, workload);
  if (!existsSync(record.spec.directory)) {
    context.log.warn("forgot a workload whose directory is gone", { id: workload.id, name: record.name });
    return await removeLocked(context, workload);
  }
  if (record.state !== "exited") return;
  if (request.autoRemove) return await removeLocked(context, workload);
  if (request.restart.name !== "always") return;
  startWorkload(context, workload).catch((error: unknown) => {
    context.log.error("could not start a workload again", { id: workload.id, why: messageOf(error) });
  });
}

/** Removes the entries of a directory that no record names. */
async function sweep(context: EngineContext, directory: string, known: ReadonlySet<string>): Promise<void> {
  for (const entry of await readdir(directory)) {
    if (known.has(entry)) continue;
    const path = join(directory, entry);
    context.log.warn("removing a directory that belongs to no workload", { path });
    await rm(path, { recursive: true, force: true }).catch((error: unknown) => {
      context.log.error("could not remove it", { path, why: messageOf(error) });
    });
  }
}
