/**
 * Patterns with `*`, `?` and sets, matched in time that grows with the pattern times the text: strangers write both,
 * and a regular expression of many stars would try every way to share the text out among them.
 */

/** `run`: any characters, `part`: any but slashes; `directories`: nothing, or all up to a slash. */
export type GlobStep =
  | { readonly is: "character"; readonly accepts: (character: string) => boolean }
  | { readonly is: "run" | "part" | "directories" };

export class Glob {
  readonly #steps: readonly GlobStep[];
  readonly #sets: readonly [StepSet, StepSet];

  constructor(steps: readonly GlobStep[]) {
    this.#steps = steps;
    this.#sets = [new StepSet(steps.length + 1), new StepSet(steps.length + 1)];
  }

  /** Texts are given as their characters. */
  matches(characters: readonly string[]): boolean {
    return this.#ends(characters, 0).at(-1) === characters.length;
  }

  /** Whether the path or a directory that it is in matches. */
  matchesPathOrParent(characters: readonly string[]): boolean {
    return this.#ends(characters, 0).some((end) => end === characters.length || characters[end] === "/");
  }

  /** How many of the first characters match, at least or at most; undefined: none do, not even no characters. */
  lengthAtStart(characters: readonly string[], which: "shortest" | "longest"): number | undefined {
    return this.#ends(characters, 0).at(which === "shortest" ? 0 : -1);
  }

  /** Where the longest matches begin and end, from the left, none in another. Not for patterns of paths. */
  *all(characters: readonly string[]): Generator<readonly [begin: number, end: number]> {
    // Read backwards, a match may end wherever one begins.
    const backwards = new Glob([{ is: "run" }, ...this.#steps.toReversed()]);
    const begins = backwards.#ends(characters.toReversed(), 0).map((end) => characters.length - end);
    let next = 0;
    for (const begin of begins.toReversed()) {
      if (begin < next) continue;
      const end = this.#ends(characters, begin).at(-1);
      if (end === undefined) continue;
      yield [begin, end];
      next = Math.max(end, begin + 1);
    }
  }

  /** All places that a match from `begin` on may end at, in order. */
  #ends(characters: readonly string[], begin: number): number[] {
    const last = this.#steps.length;
    const ends: number[] = [];
    let [now, next] = this.#sets;
    now.clear();
    this.#enter(now, 0);
    for (let at = begin; ; at++) {
      if (now.has(last)) ends.push(at);
      const character = characters[at];
      if (character === undefined || now.size === 0) return ends;
      next.clear();
      for (let each = 0; each < now.size; each++) this.#advance(now.at(each), character, next);
      [now, next] = [next, now];
    }
  }

  #advance(index: number, character: string, next: StepSet): void {
    const step = this.#steps[index];
    if (step === undefined) return;
    if (step.is === "character") {
      if (step.accepts(character)) this.#enter(next, index + 1);
    } else if (step.is === "run" || (step.is === "part" && character !== "/")) this.#enter(next, index);
    else if (step.is === "directories") {
      next.add(index);
      if (character === "/") this.#enter(next, index + 1);
    }
  }

  /** What may be nothing is passed by as well. */
  #enter(into: StepSet, at: number): void {
    for (let index = at; into.add(index); index++)
      if ((this.#steps[index]?.is ?? "character") === "character") return;
  }
}

/** Indexes of steps, in the order they were added. Made once: a pattern meets every path of a context. */
class StepSet {
  readonly #has: Uint8Array;
  readonly #list: Uint32Array;
  size = 0;

  constructor(count: number) {
    this.#has = new Uint8Array(count);
    this.#list = new Uint32Array(count);
  }

  has(index: number): boolean {
    return this.#has[index] === 1;
  }

  at(position: number): number {
    return this.#list[position] ?? 0;
  }

  /** Whether it is new. */
  add(index: number): boolean {
    if (this.#has[index] === 1) return false;
    this.#has[index] = 1;
    this.#list[this.size++] = index;
    return true;
  }

  clear(): void {
    for (let position = 0; position < this.size; position++) this.#has[this.at(position)] = 0;
    this.size = 0;
  }
}

export function exactly(wanted: string): GlobStep {
  return { is: "character", accepts: (character) => character === wanted };
}

export const anyCharacter: GlobStep = { is: "character", accepts: () => true };
export const anyOfName: GlobStep = { is: "character", accepts: (character) => character !== "/" };
