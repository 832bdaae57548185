/** Follows the framing of zstd data, without decompressing it, to know whether it ends where a frame ends. Source: RFC 8878 section 3.1. */

type State = "magic" | "descriptor" | "block" | "skippable" | "skip";

const frameMagic = 0xfd2fb528;
const skippableMagic = 0x184d2a50;
const dictionaryIdBytes = [0, 1, 2, 4] as const;

export class ZstdFrames {
  #state: State = "magic";
  /** Little-endian number being read, and its bytes read and to come. */
  #value = 0;
  #read = 0;
  #wanted = 4;
  /** Bytes to pass over, and what comes after them. */
  #skip = 0;
  #next: "magic" | "block" = "magic";
  #checksum = false;
  /** Data that is no zstd: the decompressor complains of it. */
  #lost = false;

  /** Nothing is missing after the bytes so far. */
  get whole(): boolean {
    return this.#lost || (this.#state === "magic" && this.#read === 0);
  }

  push(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length && !this.#lost; ) {
      if (this.#state === "skip") {
        const taken = Math.min(this.#skip, chunk.length - at);
        this.#skip -= taken;
        at += taken;
        if (this.#skip === 0) this.#expect(this.#next);
        continue;
      }
      if (this.#read < 4) this.#value += (chunk[at] ?? 0) * 2 ** (8 * this.#read);
      this.#read++;
      at++;
      if (this.#read === this.#wanted) this.#field();
    }
  }

  #expect(state: "magic" | "descriptor" | "block" | "skippable"): void {
    this.#state = state;
    this.#value = 0;
    this.#read = 0;
    this.#wanted = state === "descriptor" ? 1 : state === "block" ? 3 : 4;
  }

  #pass(bytes: number, next: "magic" | "block"): void {
    this.#skip = bytes;
    this.#next = next;
    if (bytes === 0) this.#expect(next);
    else this.#state = "skip";
  }

  #field(): void {
    const value = this.#value;
    switch (this.#state) {
      case "magic":
        if (value === frameMagic) this.#expect("descriptor");
        else if (value - (value % 16) === skippableMagic) this.#expect("skippable");
        else this.#lost = true;
        return;
      case "skippable":
        this.#pass(value, "magic");
        return;
      case "descriptor": {
        const single = (value & 0x20) !== 0;
        this.#checksum = (value & 0x04) !== 0;
        const sizeFlag = value >> 6;
        const sizeBytes = sizeFlag === 0 ? (single ? 1 : 0) : 2 ** sizeFlag;
        this.#pass((single ? 0 : 1) + (dictionaryIdBytes[value & 3] ?? 0) + sizeBytes, "block");
        return;
      }
      default: {
        const last = (value & 1) !== 0;
        const repeated = ((value >> 1) & 3) === 1;
        const bytes = repeated ? 1 : value >> 3;
        this.#pass(bytes + (last && this.#checksum ? 4 : 0), last ? "magic" : "block");
      }
    }
  }
}
