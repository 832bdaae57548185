/** A template in memory: one sealed file that all its machines map, closed when it is forgotten and nobody has it leased. */
import { closeSync } from "node:fs";
import { memoryFileOf, reopenMemoryFile } from "../../../host/memory-file.ts";
import type { TemplateImage } from "./files.ts";
import type { MachineSize } from "./key.ts";
import { workingSetOf } from "./working-set.ts";

/** Milliseconds. */
const shortRun = 500;

/** The right to use a template, until it is disposed. */
export interface TemplateLease extends Disposable {
  readonly key: string;
  readonly size: MachineSize;
  readonly image: TemplateImage;
  /** The state of the devices or the image of the process, to be read by one machine; the caller closes it. */
  openDevices(): number;
  /** What a copy of the process will touch of the guest's memory (working-set.ts), if it is known; the caller closes it. */
  openWorkingSet(): number | undefined;
  /** To be called when the workload of a copy has started, and when it has ended, with the id of its QEMU. */
  learn(pid: number, ended: boolean): void;
}

export class Loaded {
  readonly image: TemplateImage;
  readonly #devices: number;
  #workingSet: number | undefined;
  /** When a copy's workload had started that the working set is of; undefined once it is that of a whole run. */
  #learnedAt: number | undefined = Number.NEGATIVE_INFINITY;
  #users = 0;
  #forgotten = false;
  #closed = false;

  constructor(image: TemplateImage) {
    this.image = image;
    this.#devices = image.process ?? memoryFileOf("devices", image.devices);
  }

  /** Undefined when it was forgotten meanwhile. */
  lease(key: string, size: MachineSize): TemplateLease | undefined {
    if (this.#closed) return undefined;
    this.#users++;
    let open = true;
    return {
      key,
      size,
      image: this.image,
      openDevices: () => reopenMemoryFile(this.#devices),
      openWorkingSet: () => (this.#workingSet === undefined ? undefined : reopenMemoryFile(this.#workingSet)),
      learn: (pid, ended) => this.#learn(pid, ended),
      [Symbol.dispose]: () => {
        if (!open) return;
        open = false;
        this.#users--;
        this.#closeUnused();
      },
    };
  }

  #learn(pid: number, ended: boolean): void {
    const { process } = this.image;
    const at = this.#learnedAt;
    if (this.#closed || process === undefined || at === undefined) return;
    // What ends soon has told of a whole run; what a longer one touches is its own.
    if (ended ? Date.now() - at > shortRun : this.#workingSet !== undefined) return;
    let found: number | undefined;
    try {
      found = workingSetOf(pid);
    } catch {
      // It is gone already: another one will tell.
    }
    if (found === undefined) return;
    if (this.#workingSet !== undefined) closeSync(this.#workingSet);
    this.#workingSet = found;
    this.#learnedAt = ended ? undefined : Date.now();
  }

  forget(): void {
    this.#forgotten = true;
    this.#closeUnused();
  }

  #closeUnused(): void {
    if (!this.#forgotten || this.#users > 0 || this.#closed) return;
    this.#closed = true;
    closeSync(this.image.memory);
    closeSync(this.image.disk);
    closeSync(this.#devices);
    if (this.#workingSet !== undefined) closeSync(this.#workingSet);
  }
}
