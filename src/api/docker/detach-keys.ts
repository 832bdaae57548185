/** The keys that let go of a terminal, found in what the user types (`ctrl-p,ctrl-q`). */
import { HullError } from "../../contract/errors.ts";

const usual = "ctrl-p,ctrl-q";
const controls = "@abcdefghijklmnopqrstuvwxyz[\\]^_";

export function parseDetachKeys(text: string): Uint8Array {
  return Uint8Array.from((text === "" ? usual : text).split(","), (key) => {
    const control = /^ctrl-(.)$/.exec(key)?.[1];
    const code = control === undefined ? -1 : controls.indexOf(control);
    if (code >= 0) return code;
    if (/^[\x20-\x7e]$/.test(key)) return key.charCodeAt(0);
    throw new HullError("invalidParameter", {
      what: "detach keys",
      value: text,
      why: "write single characters or ctrl-<letter>, separated by commas",
    });
  });
}

/** Finds the sequence across chunks. Bytes that may begin it are held back until it is decided. */
export class DetachScanner {
  readonly #keys: Uint8Array;
  #matched = 0;

  constructor(keys: Uint8Array) {
    this.#keys = keys;
  }

  /** What is to be passed on, and whether the sequence is complete; bytes after it are dropped. */
  scan(data: Uint8Array): { pass: Uint8Array; detached: boolean } {
    if (this.#keys.length === 0) return { pass: data, detached: false };
    const pass: number[] = [];
    for (const byte of data) {
      if (byte === this.#keys[this.#matched]) {
        this.#matched++;
        if (this.#matched === this.#keys.length) return { pass: Uint8Array.from(pass), detached: true };
        continue;
      }
      pass.push(...this.#keys.subarray(0, this.#matched));
      this.#matched = byte === this.#keys[0] ? 1 : 0;
      if (this.#matched === 0) pass.push(byte);
    }
    return { pass: Uint8Array.from(pass), detached: false };
  }
}
