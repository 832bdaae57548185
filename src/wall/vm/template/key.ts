/** What a template is a template of: everything that decides what its memory and its devices look like. */
import { createHash } from "node:crypto";
import { createReadStream, readFileSync } from "node:fs";
import { stat } from "node:fs/promises";
import { arch, release } from "node:os";
import type { AccelerationFacts } from "../acceleration.ts";
import { qemuArguments } from "../arguments.ts";
import { blindTap } from "../cables.ts";
import { jailed } from "../layout.ts";
import type { VmPrograms } from "../programs.ts";

/** Changed when templates of an earlier Hull are no longer understood. */
const format = 2;

/** What the user chooses of a machine. */
export interface MachineSize {
  readonly memoryBytes: number;
  readonly processors: number;
  /** Layers that find a place. */
  readonly layerPlaces: number;
}

/** Sums of the outside parts. */
export interface PartSums {
  readonly kernel: string;
  readonly initramfs: string;
  readonly qemu: string;
}

/**
 * Places for layers that templates come with: the larger ones fill the slots they take, with the port and the writable disk.
 * Each place costs the guest about 0.2 MB, used or not, and QEMU as much and 0.7 ms of its start; more of them cost a
 * firmware that has to count them for long. Most base images have one layer.
 */
const places = [3, 6, 14, 30, 62] as const;
export const mostPlaces = 62;

/** Undefined for an image that no template has places for. */
export function placesFor(layers: number): number | undefined {
  return places.find((count) => count >= layers);
}

/** Names the template of these parts for machines of that size. */
export function templateKey(size: MachineSize, parts: PartSums, facts: AccelerationFacts): string {
  const args = qemuArguments({
    qemu: "qemu",
    name: "template",
    acceleration: facts.acceleration,
    memoryBytes: size.memoryBytes,
    processors: size.processors,
    kernel: jailed.kernel,
    initramfs: jailed.initramfs,
    agentSocket: jailed.agentSocket,
    monitorSocket: jailed.monitorSocket,
    layers: [],
    disks: [jailed.disks],
    freshDisk: true,
    share: jailed.share,
    taps: [blindTap],
    template: { step: "save", memory: jailed.memory, layerPlaces: size.layerPlaces },
  });
  const host = facts.acceleration === "kvm" ? processorModel() : arch();
  // What a tap can do is up to the kernel, and a template's guest has agreed on it.
  const taps = release();
  return createHash("sha256").update(JSON.stringify({ format, args, parts, host, taps })).digest("hex");
}

/** With KVM the guest sees the host's processor, and its kernel decides what of it. */
function processorModel(): string {
  const lines = readFileSync("/proc/cpuinfo", "utf8").split("\n\n", 1)[0]?.split("\n") ?? [];
  const told = lines.filter((line) => /^(vendor_id|cpu family|model|stepping|microcode|flags)\b/.test(line));
  return [release(), ...told].join("\n");
}

/** Sums of files, each computed once for as long as the file stays the same. */
export class FileSums {
  readonly #known = new Map<string, { readonly mark: string; readonly sum: Promise<string> }>();

  async of(programs: VmPrograms): Promise<PartSums> {
    const [kernel, initramfs, qemu] = await Promise.all(
      [programs.kernel, programs.initramfs, programs.qemu].map((path) => this.#sum(path)),
    );
    return { kernel: kernel ?? "", initramfs: initramfs ?? "", qemu: qemu ?? "" };
  }

  async #sum(path: string): Promise<string> {
    const { ino, size, mtimeMs, ctimeMs } = await stat(path);
    const mark = [ino, size, mtimeMs, ctimeMs].join(" ");
    const known = this.#known.get(path);
    if (known?.mark === mark) return known.sum;
    const sum = sumOfFile(path);
    this.#known.set(path, { mark, sum });
    sum.catch(() => this.#known.delete(path));
    return sum;
  }
}

async function sumOfFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) hash.update(chunk);
  return hash.digest("hex");
}
