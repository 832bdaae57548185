/**
 * A machine that stands still for its state to be saved: its workload is stopped between two instructions by the
 * agent, so that a copy can be told who and when it is before the workload goes on; then its processors are.
 *
 * `layout.held` is there meanwhile: a daemon that finds it lets the machine go on.
 */
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as v from "valibot";
import { messageOf } from "../../../contract/errors.ts";
import type { OciContainer } from "../../oci/runtime.ts";
import type { SandboxSpec } from "../../wall.ts";
import type { AgentConnection } from "../agent.ts";
import { writableFile, writableNode } from "../arguments.ts";
import { addDiskFile, type DiskOptions, diskFiles, fileName, sealDiskFiles } from "../disk.ts";
import { FieldWriter } from "../fields.ts";
import { jailed, type VmLayout } from "../layout.ts";
import { verbs } from "../protocol.ts";
import { migrationSchema, qmp } from "../qmp.ts";
import type { MachineImage } from "../template/files.ts";
import { closeImage, type SavedDescription, type StepTaken, writeSaved } from "./files.ts";
import { takeImage } from "./take.ts";
import { thaw } from "./wake.ts";

export interface LiveMachine {
  readonly spec: SandboxSpec;
  readonly layout: VmLayout;
  readonly container: OciContainer;
  readonly memoryBytes: number;
  readonly agent: AgentConnection;
}

/** Modes of the request `freeze` (guest/protocol.md). */
const standStill = 2;
const standStillWritten = 3;
/** Milliseconds; all that the guest has not written yet may have to go to the disk first. */
const freezeTimeout = 120_000;
const settleTimeout = 60_000;
const pollInterval = 5;
const blocksSchema = v.array(
  v.looseObject({ inserted: v.optional(v.looseObject({ "node-name": v.optional(v.string(), "") })) }),
);

/** Saves the machine, which then stands still for good. When it throws, the workload goes on. */
export async function suspendMachine(
  machine: LiveMachine,
  description: Omit<SavedDescription, "disks">,
  step: StepTaken,
): Promise<void> {
  const { spec, layout } = machine;
  // Its files are whole even if the saved memory should be lost.
  await whileHeld(machine, { write: true, step }, async (signal) => {
    const disks = await diskFiles(layout.disks);
    const image = await takeImage(layout, machine.memoryBytes, signal);
    try {
      await writeSaved(spec.directory, { ...description, disks }, image, step);
    } finally {
      closeImage(image);
    }
  });
  step("suspend:committed");
}

export interface ForkedMachine {
  readonly image: MachineImage;
  /** Files of the writable disk that all have in common. */
  readonly base: readonly string[];
}

/** Takes the machine's memory and makes its disk a base for others; the machine goes on. */
export async function forkMachine(
  machine: LiveMachine,
  disk: DiskOptions,
  step: StepTaken,
): Promise<ForkedMachine> {
  const { layout } = machine;
  const forked = await whileHeld(machine, { write: false, step }, async (signal) => {
    const base = await splitDisk(layout, disk, signal);
    step("fork:disk");
    return { image: await takeImage(layout, machine.memoryBytes, signal), base };
  });
  try {
    await letRun(machine);
    return forked;
  } catch (error) {
    closeImage(forked.image);
    throw error;
  }
}

/** Lets the machine run, whatever an attempt to save it left of it; its agent has yet to let the workload go on. */
export async function goOn({ monitorSocket }: VmLayout): Promise<void> {
  let { status } = v.parse(migrationSchema, await qmp(monitorSocket, "query-migrate"));
  if (!["none", "completed", "failed", "cancelled"].includes(status))
    await qmp(monitorSocket, "migrate_cancel");
  for (const deadline = Date.now() + settleTimeout; ; await Bun.sleep(pollInterval)) {
    ({ status } = v.parse(migrationSchema, await qmp(monitorSocket, "query-migrate")));
    if (["none", "completed", "failed", "cancelled"].includes(status)) break;
    if (Date.now() > deadline) throw new Error(`QEMU's state stays ${status}`);
  }
  await qmp(monitorSocket, "cont");
}

/** The machine and the workload go on. */
async function letRun({ agent, layout }: Pick<LiveMachine, "agent" | "layout">): Promise<void> {
  try {
    await goOn(layout);
    await inTime(release(agent, layout), freezeTimeout);
  } finally {
    agent.goOn();
  }
}

/** The workload goes on, as the one that it was. */
export async function release(agent: AgentConnection, layout: VmLayout): Promise<void> {
  await thaw(agent);
  await rm(layout.held, { force: true });
}

async function whileHeld<T>(
  { agent, layout, container }: LiveMachine,
  { write, step }: { readonly write: boolean; readonly step: StepTaken },
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const gone = new AbortController();
  void container.wait().then(
    () => gone.abort(),
    () => gone.abort(),
  );
  const { signal } = gone;
  await writeFile(layout.held, "", { mode: 0o600 });
  try {
    // Until all is written, the agent answers nobody.
    agent.standStill();
    const mode = new FieldWriter().u8(write ? standStillWritten : standStill);
    await inTime(agent.request(verbs.freeze, mode), freezeTimeout);
    step("save:frozen");
    await qmp(layout.monitorSocket, "stop", { signal });
    step("save:stopped");
    return await work(signal);
  } catch (error) {
    if (signal.aborted) throw new Error("QEMU ended", { cause: error });
    await letRun({ agent, layout }).catch((unheld: unknown) => {
      const why = `${messageOf(error)}, and it does not go on: ${messageOf(unheld)}`;
      throw new Error(why, { cause: error });
    });
    throw error;
  }
}

/** When it takes too long, the agent is not lost: it may yet answer. */
async function inTime(answer: Promise<unknown>, milliseconds: number): Promise<void> {
  const late = Promise.withResolvers<never>();
  const why = `its agent has not answered in ${milliseconds / 1000} seconds`;
  const timer = setTimeout(() => late.reject(new Error(why)), milliseconds);
  try {
    await Promise.race([answer, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Puts a file over the writable disk, so that what is below it stays as it is; resolves to the files below. */
async function splitDisk(layout: VmLayout, disk: DiskOptions, signal: AbortSignal): Promise<string[]> {
  const { monitorSocket } = layout;
  const top = await topOfDisk(monitorSocket, signal);
  // A file over that one is of an attempt that did not come so far; nothing was written to it. QEMU may have it open.
  const forgotten = { execute: "blockdev-del", arguments: { "node-name": writableNode(top + 1) } };
  await qmp(monitorSocket, [forgotten], { signal }).catch(() => undefined);
  for (const name of (await diskFiles(layout.disks)).slice(top + 1)) await rm(join(layout.disks, name));
  const name = await addDiskFile(disk, top + 1);
  const node = { ...writableFile(top + 1, `${jailed.disks}/${name}`), backing: null };
  const below = writableFile(top, `${jailed.disks}/${fileName(top)}`);
  await qmp(
    monitorSocket,
    [
      { execute: "blockdev-add", arguments: node },
      {
        execute: "blockdev-snapshot",
        arguments: { node: writableNode(top), overlay: writableNode(top + 1) },
      },
      {
        execute: "blockdev-reopen",
        arguments: {
          options: [{ ...below, "read-only": true, ...backingOf(top), file: `${writableNode(top)}-file` }],
        },
      },
    ],
    { signal },
  );
  const base = (await diskFiles(layout.disks)).slice(0, top + 1);
  await sealDiskFiles(layout.disks, base);
  return base;
}

/** What lies below a file of the disk stays as it is. */
function backingOf(index: number): Readonly<Record<string, unknown>> {
  return index === 0 ? {} : { backing: writableNode(index - 1) };
}

/** Which file of the writable disk QEMU writes to. */
async function topOfDisk(monitorSocket: string, signal: AbortSignal): Promise<number> {
  const blocks = v.parse(blocksSchema, await qmp(monitorSocket, "query-block", { signal }));
  const names = blocks.map(({ inserted }) => inserted?.["node-name"] ?? "");
  const top = names.flatMap((name) => /^writable(\d{1,3})$/.exec(name)?.[1] ?? []).map(Number);
  if (top.length !== 1 || top[0] === undefined) throw new Error("QEMU has no writable disk");
  return top[0];
}
