/** The keys that let go of a terminal (`ctrl-p,ctrl-q`), found in what is typed: by the client and by the daemon. */

export const defaultDetachKeys = "ctrl-p,ctrl-q";

/** `a,ctrl-x,…` as bytes; an empty text means the default ones, as Docker has it. Undefined: it is not understood. */
export function detachKeysOf(text: string): Uint8Array | undefined {
  const codes = (text === "" ? defaultDetachKeys : text).split(",").map(codeOf);
  return codes.includes(undefined) ? undefined : Uint8Array.from(codes, (code) => code ?? 0);
}

function codeOf(key: string): number | undefined {
  const control = /^ctrl-([a-zA-Z@[\\\]^_])$/.exec(key)?.[1];
  if (control !== undefined) return control.toUpperCase().charCodeAt(0) - 64;
  return /^[\x20-\x7e]$/.test(key) ? key.charCodeAt(0) : undefined;
}

export interface ScanResult {
  /** What is to be passed on. */
  readonly data: Uint8Array;
  /** The keys are complete; what follows them is dropped. */
  readonly detach: boolean;
}

/** Without keys it passes everything on. Holds back what may be the beginning of the keys until it is known whether it is. */
export class DetachScanner {
  readonly #keys: Uint8Array;
  #matched = 0;

  constructor(keys: Uint8Array) {
    this.#keys = keys;
  }

  scan(typed: Uint8Array): ScanResult {
    const keys = this.#keys;
    if (keys.length === 0) return { data: typed, detach: false };
    const out: number[] = [];
    for (const byte of typed) {
      while (this.#matched > 0 && byte !== keys[this.#matched]) this.#release(out);
      if (byte !== keys[this.#matched]) {
        out.push(byte);
        continue;
      }
      this.#matched += 1;
      if (this.#matched === keys.length) {
        this.#matched = 0;
        return { data: Uint8Array.from(out), detach: true };
      }
    }
    return { data: Uint8Array.from(out), detach: false };
  }

  /** Passes on held keys up to where the rest of them still begins the sequence. */
  #release(out: number[]): void {
    const held = [...this.#keys.subarray(0, this.#matched)];
    do {
      const first = held.shift();
      if (first !== undefined) out.push(first);
    } while (held.length > 0 && held.some((key, index) => key !== this.#keys[index]));
    this.#matched = held.length;
  }
}
