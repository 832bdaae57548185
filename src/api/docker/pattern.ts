/**
 * Regular expressions of filters, matched in time that grows with the pattern times the text, as Docker's own are
 * (RE2, by Thompson's way): the runtime's would try every way, and a few stars hold the daemon up for hours.
 */
import { HullError } from "../../contract/errors.ts";

type Accepts = (character: string) => boolean;

type Step =
  | { readonly is: "character"; readonly accepts: Accepts; readonly next: number }
  | { readonly is: "start" | "end"; readonly next: number }
  | { readonly is: "split"; readonly to: number[] }
  | { readonly is: "match" };

/** Adds the steps of a part of the pattern, after which `next` is the one; returns the first. */
type Part = (program: Step[], next: number) => number;

const mostCharacters = 1000;
const mostSteps = 10_000;
const mostRepeats = 1000;

/** Tells whether the pattern is found anywhere in a text. Throws `invalidParameter`. */
export function patternMatcher(filter: string, pattern: string): (text: string) => boolean {
  try {
    if (pattern.length > mostCharacters) throw new SyntaxError(`it has over ${mostCharacters} characters`);
    const program: Step[] = [];
    const match = add(program, { is: "match" });
    const first = new PatternParser(pattern).whole()(program, match);
    return (text) => isFound(program, first, text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new HullError(
      "invalidParameter",
      {
        what: `filter ${filter}`,
        value: pattern,
        why: `it is no regular expression that is understood: ${error.message}`,
      },
      { cause: error },
    );
  }
}

function isFound(program: readonly Step[], first: number, text: string): boolean {
  let reached: number[] = [];
  for (let at = 0; at <= text.length; at++) {
    const character = text[at];
    const next: number[] = [];
    const seen = new Set<number>();
    // A match may begin at every character.
    const waiting = [...reached, first];
    for (let index = waiting.pop(); index !== undefined; index = waiting.pop()) {
      const step = program[index];
      if (step === undefined || seen.has(index)) continue;
      seen.add(index);
      if (step.is === "match") return true;
      if (step.is === "split") waiting.push(...step.to);
      else if (step.is === "character") {
        if (character !== undefined && step.accepts(character)) next.push(step.next);
      } else if (at === (step.is === "start" ? 0 : text.length)) waiting.push(step.next);
    }
    reached = next;
  }
  return false;
}

function add(program: Step[], step: Step): number {
  if (program.length >= mostSteps) throw new SyntaxError("it repeats too much");
  return program.push(step) - 1;
}

function repeated(part: Part): Part {
  return (program, next) => {
    const to = [next];
    const split = add(program, { is: "split", to });
    to.push(part(program, split));
    return split;
  };
}

function optional(part: Part): Part {
  return (program, next) => add(program, { is: "split", to: [next, part(program, next)] });
}

/** `most` undefined: any number from `least` on. */
function counted(part: Part, least: number, most: number | undefined): Part {
  if (Math.max(least, most ?? 0) > mostRepeats || (most ?? least) < least)
    throw new SyntaxError(`it repeats from ${least} to ${most ?? "any number of"} times`);
  const needed = new Array<Part>(least).fill(part);
  if (most === undefined) return sequence([...needed, repeated(part)]);
  return sequence([...needed, ...new Array<Part>(most - least).fill(optional(part))]);
}

function sequence(parts: readonly Part[]): Part {
  return (program, next) => parts.reduceRight((then, part) => part(program, then), next);
}

const shorthands = new Map(Object.entries({ d: /\d/, D: /\D/, w: /\w/, W: /\W/, s: /\s/, S: /\S/ }));

class PatternParser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  whole(): Part {
    const part = this.#alternatives();
    if (this.#at < this.#text.length) throw new SyntaxError("a ) has no (");
    return part;
  }

  #take(word: string): boolean {
    if (!this.#text.startsWith(word, this.#at)) return false;
    this.#at += word.length;
    return true;
  }

  #character(): string {
    const character = this.#text[this.#at++];
    if (character === undefined) throw new SyntaxError("it ends too soon");
    return character;
  }

  #alternatives(): Part {
    const parts = [this.#sequence()];
    while (this.#take("|")) parts.push(this.#sequence());
    const [only] = parts;
    if (parts.length === 1 && only !== undefined) return only;
    return (program, next) => add(program, { is: "split", to: parts.map((part) => part(program, next)) });
  }

  #sequence(): Part {
    const parts: Part[] = [];
    while (this.#at < this.#text.length && !"|)".includes(this.#text[this.#at] ?? ""))
      parts.push(this.#quantified(this.#atom()));
    return sequence(parts);
  }

  #atom(): Part {
    const character = this.#character();
    switch (character) {
      case "^":
        return (program, next) => add(program, { is: "start", next });
      case "$":
        return (program, next) => add(program, { is: "end", next });
      case "(": {
        if (!this.#take("?:") && this.#take("?")) throw new SyntaxError("(? is not understood");
        const part = this.#alternatives();
        if (!this.#take(")")) throw new SyntaxError("a ( has no )");
        return part;
      }
      case "*":
      case "+":
      case "?":
        throw new SyntaxError(`nothing is before ${character}`);
      case "[":
        return accepting(this.#set());
      case "\\":
        return accepting(this.#escaped());
      case ".":
        return accepting(() => true);
      default:
        return accepting((other) => other === character);
    }
  }

  #escaped(): Accepts {
    const character = this.#character();
    const shorthand = shorthands.get(character);
    if (shorthand !== undefined) return (other) => shorthand.test(other);
    if (/\w/.test(character)) throw new SyntaxError(`\\${character} is not understood`);
    return (other) => other === character;
  }

  #set(): Accepts {
    const negated = this.#take("^");
    const members: Accepts[] = [];
    while (members.length === 0 || !this.#take("]")) members.push(this.#member());
    return (character) => members.some((accepts) => accepts(character)) !== negated;
  }

  #member(): Accepts {
    if (this.#take("\\")) return this.#escaped();
    const from = this.#character();
    const isRange = this.#text[this.#at] === "-" && this.#text[this.#at + 1] !== "]";
    if (!isRange) return (character) => character === from;
    this.#at += 1;
    const to = this.#character();
    return (character) => character >= from && character <= to;
  }

  #quantified(part: Part): Part {
    let quantified = part;
    if (this.#take("*")) quantified = repeated(part);
    else if (this.#take("+")) quantified = sequence([part, repeated(part)]);
    else if (this.#take("?")) quantified = optional(part);
    else {
      const count = /^\{(\d{1,4})(?:(,)(\d{0,4}))?\}/.exec(this.#text.slice(this.#at));
      if (count === null) return part;
      const [whole, least = "", comma, most = ""] = count;
      this.#at += whole.length;
      const last = comma === undefined ? least : most;
      quantified = counted(part, Number(least), last === "" ? undefined : Number(last));
    }
    // As few as possible is found where as many as possible is.
    this.#take("?");
    return quantified;
  }
}

function accepting(accepts: Accepts): Part {
  return (program, next) => add(program, { is: "character", accepts, next });
}
