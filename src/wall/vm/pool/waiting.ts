/**
 * A machine that waits for an image: a copy of a template whose agent has answered, standing still. It has the id of the
 * workload that it will be given to, and with it the names, the user and the places of everything.
 *
 * One of an image's template has the image's root. Any other cannot have the layers yet: its jail shows a directory that is
 * empty at first, and QEMU is given what is linked into it once there is an image.
 */
import { statSync } from "node:fs";
import { link, mkdir, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { messageOf } from "../../../contract/errors.ts";
import type { OciContainer } from "../../oci/runtime.ts";
import type { SandboxSpec } from "../../wall.ts";
import { AgentConnection } from "../agent.ts";
import { layMoreCables, makeTaps } from "../cables.ts";
import { diskBytes, prepareDisk } from "../disk.ts";
import { RestoreFailure, setUp } from "../greet.ts";
import { jailUser } from "../jail-identity.ts";
import { fillingOf } from "../layer-places.ts";
import { jailed, type VmLayout } from "../layout.ts";
import { jailOptions, letRead, type MachineParts, makeDirectories } from "../machine.ts";
import { learnerOf, type MakeOptions, makeJail } from "../make.ts";
import { qmp } from "../qmp.ts";
import { rehearse, type WriteRehearsalLayer } from "../rehearsal.ts";
import { VmSandbox } from "../sandbox.ts";
import type { MachineState } from "../sandbox-parts.ts";
import { Stopwatch } from "../stopwatch.ts";
import { signatureOf } from "../template/images.ts";
import { loadState, type StateOptions } from "../template/state.ts";

/** Milliseconds. */
const restoreTimeout = 30_000;

export interface WaitingMachine {
  readonly spec: SandboxSpec;
  readonly parts: MachineParts;
  readonly container: OciContainer;
  readonly agent: AgentConnection;
  /** Which files its layers were, if it has any. */
  readonly files: string;
}

/** Nothing is left of a failed attempt but what `removeWaiting` takes away. */
export async function makeWaiting(
  found: MachineParts,
  writeLayer: WriteRehearsalLayer | undefined,
): Promise<WaitingMachine> {
  // An emulator translates what it runs for the first time: here, nobody waits for it.
  const isProcess = found.template?.image.process !== undefined;
  const rehearses = found.facts.acceleration === "tcg" && writeLayer !== undefined && !isProcess;
  const isRooted = found.spec.layers.length > 0;
  const parts = { ...found, rehearses, waits: !isRooted };
  const { spec, layout } = parts;
  const files = await signatureOf(spec.layers);
  for (const path of [spec.directory, spec.runtimeDirectory])
    await mkdir(path, { recursive: true, mode: 0o700 });
  await makeDirectories(parts);
  for (const path of spec.layers) await letRead(path);
  if (!isRooted) await mkdir(layout.layers, { recursive: true, mode: 0o755 });
  if (rehearses) {
    const layer = join(layout.layers, basename(jailed.rehearsal));
    await writeLayer(layer);
    await letRead(layer);
  }
  const disk = { directory: layout.disks, bytes: diskBytes, owner: jailUser(spec) };
  const disks = await prepareDisk(disk, parts.template?.image.disk);
  const { namespace, taps } = makeTaps(jailUser(spec));
  using network = namespace;
  const wired = { ...spec, network: { namespace: network.path, taps, interfaces: [], routes: [] } };
  const container = await makeJail(
    { ...parts, spec: wired },
    { disks, freshDisk: true },
    jailOptions(spec, layout),
  );
  await container.start();
  const gone = new AbortController();
  void container.wait().then(
    () => gone.abort(),
    () => gone.abort(),
  );
  const options = { timeout: restoreTimeout, signal: gone.signal };
  const agent = await restore(layout, { ...options, isProcess });
  if (rehearses) await rehearse(agent, spec);
  await qmp(layout.monitorSocket, "stop", { signal: gone.signal });
  return { spec, parts, container, agent, files };
}

/** Throws `RestoreFailure`: whatever else fails says nothing of the template. */
async function restore(layout: VmLayout, options: StateOptions): Promise<AgentConnection> {
  try {
    await loadState(layout, options);
    return await AgentConnection.open(layout.agentSocket, options);
  } catch (error) {
    throw new RestoreFailure(messageOf(error), { cause: error });
  }
}

/** Gives the machine its image. When it throws, the machine is of no use any more. */
export async function claimWaiting(
  waiting: WaitingMachine,
  spec: SandboxSpec,
  state: MachineState,
  { saver, log }: MakeOptions,
): Promise<VmSandbox> {
  const { parts, container, agent } = waiting;
  const { layout, runtime } = parts;
  const watch = new Stopwatch();
  layCards(container, spec);
  watch.lap("cards");
  await writeFile(layout.state, JSON.stringify(state), { mode: 0o600 });
  await giveLayers(waiting, spec);
  watch.lap("layers");
  const learner = learnerOf(container, parts.template);
  const sandbox = new VmSandbox({
    ...{ spec, layout, runtime, container, state, exit: undefined, saver },
    watch: learner,
  });
  const connection = setUp(spec, agent, true).then(() => agent);
  sandbox.connect(connection);
  await connection;
  watch.lap("root");
  log.debug("a virtual machine is up", { name: spec.name, from: "pool", ...watch.laps });
  return sandbox;
}

async function giveLayers(
  { parts, files, spec: { layers } }: WaitingMachine,
  spec: SandboxSpec,
): Promise<void> {
  const { layout } = parts;
  if (layers.length > 0) {
    if ((await signatureOf(spec.layers)) !== files) throw new Error("it has the root of another image");
    await qmp(layout.monitorSocket, "cont");
    return;
  }
  for (const [index, path] of spec.layers.entries()) {
    await letRead(path);
    await link(path, join(layout.layers, String(index)));
  }
  await qmp(layout.monitorSocket, fillingOf(spec.layers.length));
  // QEMU has them open.
  await rm(layout.layers, { recursive: true });
}

/** Its network was made in the name space that the machine is in. */
function layCards(container: OciContainer, { network }: SandboxSpec): void {
  const pid = container.pid();
  if (pid === undefined) throw new Error("it has ended");
  if (network?.namespace === undefined) return;
  if (statSync(network.namespace).ino !== statSync(`/proc/${pid}/ns/net`).ino)
    throw new Error("the workload has another network");
  layMoreCables(
    pid,
    network.interfaces.map((each, index) => ({ ...each, card: each.card ?? index })),
  );
}

/** Ends the machine and takes away what is its own: the workload that has its id may exist. */
export async function removeWaiting({
  spec,
  layout,
  runtime,
}: Pick<MachineParts, "spec" | "layout" | "runtime">) {
  await runtime.delete(jailOptions(spec, layout));
  for (const path of [spec.runtimeDirectory, layout.layers, layout.disks])
    await rm(path, { recursive: true, force: true });
}
