/** Makes one machine, from its files to an agent that knows its image or goes on with what was saved. */
import { closeSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import type { Logger } from "../../contract/logger.ts";
import { memoryFileOf } from "../../host/memory-file.ts";
import type { ContainerOptions, OciContainer } from "../oci/runtime.ts";
import { makeBlindNetwork } from "./cables.ts";
import { createJail } from "./create-jail.ts";
import { diskBytesOf, diskFiles, prepareDisk } from "./disk.ts";
import { greet } from "./greet.ts";
import { jailUser } from "./jail-identity.ts";
import { configOf, imageOf, jailOptions, letRead, type MachineParts, makeDirectories } from "./machine.ts";
import { VmSandbox } from "./sandbox.ts";
import type { MachineSaver, MachineState, SandboxParts } from "./sandbox-parts.ts";
import { wake } from "./saved/wake.ts";
import { Stopwatch } from "./stopwatch.ts";
import type { TemplateLease } from "./template/loaded.ts";

export interface MakeOptions {
  readonly saver: MachineSaver;
  readonly log: Logger;
}

/** Nothing is left of a failed attempt. */
export async function makeMachine(
  parts: MachineParts,
  before: MachineState,
  { saver, log }: MakeOptions,
): Promise<VmSandbox> {
  let state = before;
  await using undo = new AsyncDisposableStack();
  const { spec, layout, runtime, template, saved } = parts;
  const options = jailOptions(spec, layout);
  const watch = new Stopwatch();
  runtime.expect();
  await makeDirectories(parts);
  // Removes the runtime directory, too.
  let container: OciContainer | undefined;
  let sandbox: VmSandbox | undefined;
  undo.defer(async () => {
    const made =
      sandbox ?? new VmSandbox({ spec, layout, runtime, container, state, exit: undefined, saver });
    await made.remove();
  });
  for (const path of [...spec.layers, parts.programs.kernel, parts.programs.initramfs]) await letRead(path);
  const owner = jailUser(spec);
  const isNew = (await diskFiles(layout.disks)).length === 0;
  const disk = { directory: layout.disks, bytes: diskBytesOf(spec), owner };
  const disks = await prepareDisk(disk, template?.image.disk);
  if (template !== undefined)
    state = { ...before, freshDisk: isNew, wiredCards: template.image.process !== undefined };
  const { freshDisk } = state;
  await writeFile(layout.state, JSON.stringify(state), { mode: 0o600 });
  // It stands still until it has all of its state.
  if (saved !== undefined) await writeFile(layout.held, "", { mode: 0o600 });
  watch.lap("files");
  container = await makeJail(
    parts,
    { disks, freshDisk, wiredCards: saved !== undefined && state.wiredCards },
    options,
  );
  watch.lap("jail");
  await container.start();
  sandbox = new VmSandbox({
    ...{ spec, layout, runtime, container, state, exit: undefined, saver },
    watch: learnerOf(container, template),
  });
  const connection =
    saved === undefined
      ? greet(spec, layout, container, { watch, template, freshDisk })
      : wake(spec, layout, container, saved);
  sandbox.connect(connection);
  await connection;
  log.debug("a virtual machine is up", {
    name: spec.name,
    from: originOf(parts),
    ...(template === undefined ? {} : { template: template.key.slice(0, 12) }),
    ...watch.laps,
  });
  undo.move();
  return sandbox;
}

/** Has a template learn of its copy, when that one's workload has started, and when it has ended. */
export function learnerOf(
  container: OciContainer,
  template: TemplateLease | undefined,
): NonNullable<SandboxParts["watch"]> {
  return (moment) => {
    const pid = container.pid();
    if (pid !== undefined) template?.learn(pid, moment === "ended");
  };
}

function originOf({ template, saved }: MachineParts): string {
  if (saved !== undefined) return "saved state";
  if (template === undefined) return "boot";
  return template.image.process === undefined ? "template" : "process";
}

interface JailDisks {
  readonly disks: readonly string[];
  readonly freshDisk: boolean;
  /** Every card is to have a tap behind it, although no network is. */
  readonly wiredCards?: boolean;
}

export async function makeJail(
  parts: MachineParts,
  { disks, freshDisk, wiredCards = false }: JailDisks,
  options: ContainerOptions,
): Promise<OciContainer> {
  const { runtime, layout, template, spec } = parts;
  const image = imageOf(parts);
  if (image === undefined) {
    const config = await configOf(parts, disks, freshDisk);
    return createJail(runtime, config, layout, options, [], parts.lay);
  }
  const isWired = (spec.network?.taps.length ?? 0) > 0;
  using blind = isWired ? undefined : makeBlindNetwork(spec.network, jailUser(spec), wiredCards);
  const wired = blind === undefined ? parts : { ...parts, spec: { ...spec, network: blind.network } };
  const config = await configOf(wired, disks, freshDisk);
  const opened: number[] = [];
  try {
    opened.push(template?.openDevices() ?? memoryFileOf("devices", image.devices));
    const workingSet = template?.openWorkingSet();
    if (workingSet !== undefined) opened.push(workingSet);
    const more = [image.memory, ...opened];
    return await createJail(runtime, config, layout, options, more, blind?.lay ?? parts.lay);
  } finally {
    for (const each of opened) closeSync(each);
  }
}
