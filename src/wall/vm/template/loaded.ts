/** A template in memory: one sealed file that all its machines map, closed when it is forgotten and nobody has it leased. */
import { closeSync } from "node:fs";
import { memoryFileOf, reopenMemoryFile } from "../../../host/memory-file.ts";
import type { TemplateImage } from "./files.ts";
import type { MachineSize } from "./key.ts";

/** The right to use a template, until it is disposed. */
export interface TemplateLease extends Disposable {
  readonly key: string;
  readonly size: MachineSize;
  readonly image: TemplateImage;
  /** The state of the devices, to be read by one machine; the caller closes it. */
  openDevices(): number;
}

export class Loaded {
  readonly image: TemplateImage;
  readonly #devices: number;
  #users = 0;
  #forgotten = false;
  #closed = false;

  constructor(image: TemplateImage) {
    this.image = image;
    this.#devices = memoryFileOf("devices", image.devices);
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
      [Symbol.dispose]: () => {
        if (!open) return;
        open = false;
        this.#users--;
        this.#closeUnused();
      },
    };
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
  }
}
