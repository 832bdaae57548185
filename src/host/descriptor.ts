/** File descriptors that the C library gave us. */
import { libc } from "./libc.ts";

/** Closes a descriptor; errors are of no use at this point. */
export function closeDescriptor(descriptor: number): void {
  libc.close(descriptor);
}

/** Owns a descriptor until disposed; disposing twice is harmless. */
export class OwnedDescriptor implements Disposable {
  readonly #number: number;
  #open = true;

  constructor(descriptor: number) {
    this.#number = descriptor;
  }

  get number(): number {
    return this.#number;
  }

  [Symbol.dispose](): void {
    if (!this.#open) return;
    this.#open = false;
    closeDescriptor(this.#number);
  }
}
