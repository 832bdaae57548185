/** From a QEMU that waits for a saved state to a guest that goes on with it. */
import { randomBytes } from "node:crypto";
import { rm } from "node:fs/promises";
import * as v from "valibot";
import { HullError, messageOf } from "../../../contract/errors.ts";
import type { OciContainer } from "../../oci/runtime.ts";
import type { SandboxSpec } from "../../wall.ts";
import { AgentConnection } from "../agent.ts";
import { consoleTail } from "../console.ts";
import { explainAgent } from "../failures.ts";
import { FieldWriter } from "../fields.ts";
import type { VmLayout } from "../layout.ts";
import { networkFields } from "../network.ts";
import { verbs } from "../protocol.ts";
import { qmp, words } from "../qmp.ts";
import { clockNow, nameFiles, startTimeout } from "../start.ts";
import type { MachineImage } from "../template/files.ts";
import { loadState } from "../template/state.ts";

/** Milliseconds until the machine has its state, and again until its agent answers. */
const wakeTimeout = 60_000;
const pollInterval = 2;
const statusSchema = v.looseObject({ status: words });

export interface SavedImage {
  readonly image: MachineImage;
  /** Null: the machine had booted by itself, rather than from a template. */
  readonly layerPlaces: number | null;
  /** Whether it goes on as one more machine. */
  readonly another: boolean;
  /** Called when the machine has its state, before its next instruction. */
  readonly ready: () => Promise<void>;
}

/** Loads the state, lets the machine run, and has the agent let the workload go on. */
export async function wake(
  spec: SandboxSpec,
  layout: VmLayout,
  container: OciContainer,
  { another, ready }: SavedImage,
): Promise<AgentConnection> {
  const gone = new AbortController();
  void container.wait().then(
    () => gone.abort(),
    () => gone.abort(),
  );
  const { signal } = gone;
  try {
    await loadState(layout, { timeout: wakeTimeout, signal, sharedMemory: false });
    await loaded(layout, signal);
    await ready();
    await qmp(layout.monitorSocket, "cont", { signal });
    const connection = await AgentConnection.open(layout.agentSocket, { timeout: wakeTimeout, signal });
    if (!another && spec.network !== undefined)
      await connection.request(verbs.setNetwork, new FieldWriter().bytes(networkFields(spec.network)));
    await thaw(connection, another ? spec : undefined);
    await rm(layout.held, { force: true });
    return connection;
  } catch (error) {
    if (error instanceof HullError) throw error;
    const why = signal.aborted ? "QEMU ended" : messageOf(explainAgent(error, spec.name));
    const tail = consoleTail(layout.console);
    const whole = tail === "" ? why : `${why} (console: ${tail})`;
    throw new HullError("startFailed", { wall: "vm", name: spec.name, why: whole }, { cause: error });
  }
}

/** The workload goes on, at the time of now, and as another one if a spec is given. */
export async function thaw(connection: AgentConnection, another?: SandboxSpec): Promise<void> {
  const fields = new FieldWriter().u64(clockNow()).string(randomBytes(64));
  if (another === undefined) fields.u8(0);
  else {
    const files = nameFiles(another);
    fields.u8(1).string(another.hostname).u32(files.length);
    for (const [path, content] of files) fields.string(path).string(content);
    fields.bytes(networkFields(another.network));
  }
  await connection.request(verbs.thaw, fields, startTimeout);
}

/** A machine that was stopped when it was saved stands still when it has its state. */
async function loaded(layout: VmLayout, signal: AbortSignal): Promise<void> {
  for (const deadline = Date.now() + wakeTimeout; ; await Bun.sleep(pollInterval)) {
    const { status } = v.parse(statusSchema, await qmp(layout.monitorSocket, "query-status", { signal }));
    if (status === "paused") return;
    if (status !== "inmigrate") throw new Error(`QEMU is ${status} after it was given its state`);
    if (Date.now() > deadline) throw new Error("QEMU did not take its state in time");
  }
}
