/**
 * A template that is a process: QEMU as it stood, with all that it had translated of the guest's code, instead of the state of its
 * devices. A copy is another process with the same memory, which goes on where that one stood (guest/process): QEMU neither
 * starts nor reads a state, and translates nothing that the template's machine has done before.
 *
 * Emulation only: a machine of KVM's is the kernel's, and has nothing to translate.
 */
import { closeSync } from "node:fs";
import * as v from "valibot";
import { printable } from "../../../contract/printable.ts";
import { createMemoryFile, sealMemoryFile } from "../../../host/memory-file.ts";
import { run } from "../../../host/spawn.ts";
import type { OciContainer } from "../../oci/runtime.ts";
import { jailed, type VmLayout } from "../layout.ts";
import { qmp } from "../qmp.ts";
import type { Refusal } from "./files.ts";

const generationSchema = v.looseObject({
  guid: v.pipe(v.string(), v.regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)),
});

/** The descriptor of a sealed memory file, which the caller closes; or why the QEMU cannot be kept. */
export type Frozen = { readonly process: number } | { readonly notProcess: Refusal };

/** Exit code of hull-freeze for what stays; anything else, its being killed included, may be gone in a moment. */
const refusedForGood = 1;

/** Milliseconds until QEMU has let go of connections that were closed, and between two looks. */
const patience = 2000;
const pause = 50;

/**
 * Stops the machine and keeps its QEMU, which ends; one that cannot be kept stands still and can save its state. The
 * agent's connection has to be closed.
 */
export async function freeze(
  layout: VmLayout,
  container: OciContainer,
  program: string,
  signal: AbortSignal,
): Promise<Frozen> {
  const { monitorSocket } = layout;
  const pid = container.pid();
  if (pid === undefined) throw new Error("QEMU ended");
  const { guid } = v.parse(generationSchema, await qmp(monitorSocket, "query-vm-generation-id", { signal }));
  await qmp(monitorSocket, "stop", { signal });
  for (const deadline = Date.now() + patience; ; await Bun.sleep(pause)) {
    const frozen = await tryToFreeze(program, pid, generationBytes(guid), signal);
    if ("process" in frozen || frozen.notProcess.forGood || Date.now() >= deadline) return frozen;
  }
}

async function tryToFreeze(
  program: string,
  pid: number,
  generation: string,
  signal: AbortSignal,
): Promise<Frozen> {
  const file = createMemoryFile("process", 0);
  try {
    const image = `/proc/${process.pid}/fd/${file}`;
    const words = [String(pid), String(jailed.memoryDescriptor), image, generation];
    const { code, stderr } = await run([program, ...words], { signal });
    if (code === 0) {
      sealMemoryFile(file);
      return { process: file };
    }
    closeSync(file);
    return { notProcess: { why: printable(stderr.trim()), forGood: code === refusedForGood } };
  } catch (error) {
    closeSync(file);
    throw error;
  }
}

/** As the guest's memory holds it: the first three numbers little-endian (RFC 9562, QEMU's docs/specs/vmgenid.rst). */
function generationBytes(guid: string): string {
  const [one = "", two = "", three = "", ...rest] = guid.split("-");
  const swapped = [one, two, three].map((digits) => Buffer.from(digits, "hex").reverse().toString("hex"));
  return [...swapped, ...rest].join("");
}
