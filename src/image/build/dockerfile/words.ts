/**
 * Words of a Dockerfile: quotes, escapes and variables. These rules are like a shell's and are not a shell's.
 * Source: Dockerfile reference, "Environment replacement"; BuildKit frontend/dockerfile/shell/lex.go.
 */
import { anyCharacter, exactly, type GlobStep } from "../../../contract/glob.ts";
import { withoutEnd, withReplaced } from "./substitution.ts";

export type Variables = (name: string) => string | undefined;

/** A quote or a brace is not closed, or a variable that must be set is not. */
export class WordError extends Error {
  override readonly name = "WordError";
}

/** Words as they are written, quotes and escapes kept: blanks outside of quotes are between them. */
export function splitRaw(text: string, escapeToken: string, most = Number.POSITIVE_INFINITY): string[] {
  const words: string[] = [];
  let word = "";
  let quote = "";
  for (let at = 0; at < text.length && words.length < most; at++) {
    const char = text[at] ?? "";
    if (quote === "" && /\s/.test(char)) {
      if (word !== "") words.push(word);
      word = "";
      continue;
    }
    if (quote === "" && (char === '"' || char === "'")) quote = char;
    else if (char === quote) quote = "";
    word += char;
    if (char === escapeToken && quote !== "'" && at + 1 < text.length) {
      at++;
      word += text[at] ?? "";
    }
  }
  if (word !== "" && words.length < most) words.push(word);
  return words;
}

/** One word: quotes are taken away, variables replaced. Blanks stay. */
export function expandWord(text: string, escapeToken: string, variables: Variables): string {
  return new Expansion(text, escapeToken, variables).run().join("");
}

/** Several words: blanks outside of quotes part them, those that a variable brings too. */
export function expandWords(text: string, escapeToken: string, variables: Variables): string[] {
  const expansion = new Expansion(text, escapeToken, variables, true);
  return expansion.run();
}

/** A here-document's text: variables are replaced, and an escape works before a dollar or itself. Quotes are text. */
export function expandText(text: string, escapeToken: string, variables: Variables): string {
  const pattern = new RegExp(`${escapeToken === "\\" ? "\\\\" : escapeToken}(.)|"|'`, "gs");
  // What is quoted for the word's rules is itself again afterwards.
  const quoted = text.replace(pattern, (match, next: string | undefined) => {
    if (next === "$" || next === escapeToken) return match;
    if (next === undefined) return `${escapeToken}${match}`;
    return `${escapeToken}${escapeToken}${next === '"' || next === "'" ? escapeToken : ""}${next}`;
  });
  return expandWord(quoted, escapeToken, variables);
}

/** Characters of what words become: a variable that holds itself twice doubles with every line. */
export const maxExpanded = 1024 * 1024;
/** Characters of a value that a pattern is held against. */
const maxCut = 16 * 1024;

const nameStart = /[A-Za-z_]/;
const namePart = /[A-Za-z0-9_]/;

class Expansion {
  readonly #text: string;
  readonly #escapeToken: string;
  readonly #variables: Variables;
  readonly #split: boolean;
  readonly #words: string[] = [];
  #word = "";
  #inWord = false;
  #at = 0;
  #length = 0;

  constructor(text: string, escapeToken: string, variables: Variables, split = false) {
    this.#text = text;
    this.#escapeToken = escapeToken;
    this.#variables = variables;
    this.#split = split;
  }

  run(): string[] {
    while (this.#at < this.#text.length) this.#step();
    this.#endWord();
    return this.#words;
  }

  #step(): void {
    const char = this.#text[this.#at] ?? "";
    if (char === "'") this.#single();
    else if (char === '"') this.#double();
    else if (char === "$") this.#add(this.#dollar(), !this.#split);
    else if (char === this.#escapeToken) {
      // One at the very end stands for nothing.
      this.#add(this.#text[this.#at + 1] ?? "", true);
      this.#at += 2;
    } else {
      this.#add(char, !this.#split);
      this.#at++;
    }
  }

  #add(text: string, whole: boolean): void {
    this.#count(text);
    if (whole) {
      this.#word += text;
      this.#inWord = true;
      return;
    }
    for (const char of text) {
      if (/\s/.test(char)) this.#endWord();
      else {
        this.#word += char;
        this.#inWord = true;
      }
    }
  }

  #count(text: string): void {
    this.#length += text.length;
    if (this.#length > maxExpanded) throw new WordError(`it becomes more than ${maxExpanded} characters`);
  }

  #endWord(): void {
    if (this.#inWord) this.#words.push(this.#word);
    this.#word = "";
    this.#inWord = false;
  }

  #single(): void {
    const end = this.#text.indexOf("'", this.#at + 1);
    if (end < 0) throw new WordError("unexpected end of statement while looking for matching single-quote");
    this.#add(this.#text.slice(this.#at + 1, end), true);
    this.#at = end + 1;
  }

  #double(): void {
    this.#at++;
    this.#add("", true);
    for (;;) {
      const char = this.#text[this.#at];
      if (char === undefined)
        throw new WordError("unexpected end of statement while looking for matching double-quote");
      if (char === '"') break;
      if (char === "$") this.#add(this.#dollar(), true);
      else if (char === this.#escapeToken) this.#doubleEscape();
      else {
        this.#add(char, true);
        this.#at++;
      }
    }
    this.#at++;
  }

  /** Between double quotes an escape works only before a quote, a dollar or itself. */
  #doubleEscape(): void {
    const next = this.#text[this.#at + 1];
    if (next === undefined) throw new WordError("unexpected end of statement after an escape");
    const works = next === '"' || next === "$" || next === this.#escapeToken;
    this.#add(works ? next : this.#escapeToken + next, true);
    this.#at += 2;
  }

  /** Stands at a dollar; leaves it behind and returns what it stands for. */
  #dollar(): string {
    this.#at++;
    if (this.#text[this.#at] === "{") return this.#braces();
    const name = this.#name();
    return name === "" ? "$" : (this.#variables(name) ?? "");
  }

  #name(): string {
    const first = this.#text[this.#at] ?? "";
    if (/[0-9@*#?!$-]/.test(first) && first !== "") {
      if (!/[0-9@*#]/.test(first)) return "";
      this.#at++;
      return first;
    }
    if (!nameStart.test(first)) return "";
    let name = "";
    while (namePart.test(this.#text[this.#at] ?? "")) {
      name += this.#text[this.#at];
      this.#at++;
    }
    return name;
  }

  #braces(): string {
    this.#at++;
    const name = this.#name();
    if (name === "") throw new WordError("bad substitution: a brace needs a name");
    const value = this.#variables(name);
    const char = this.#text[this.#at];
    if (char === "}") {
      this.#at++;
      return value ?? "";
    }
    const colon = char === ":";
    if (colon) this.#at++;
    const operator = this.#text[this.#at] ?? "";
    this.#at++;
    const unset = value === undefined || (colon && value === "");
    if ("-+?".includes(operator) && operator !== "") {
      const word = this.#inner();
      if (operator === "-") return unset ? word : (value ?? "");
      if (operator === "+") return unset ? "" : word;
      if (unset) throw new WordError(`${name}: ${word === "" ? "is not allowed to be unset" : word}`);
      return value ?? "";
    }
    if (colon || !["#", "%", "/"].includes(operator))
      throw new WordError(`unsupported modifier (${colon ? ":" : ""}${operator}) in substitution`);
    return this.#cut(operator, value ?? "");
  }

  #cut(operator: string, value: string): string {
    const doubled = this.#text[this.#at] === operator;
    if (doubled) this.#at++;
    if (value.length > maxCut) throw new WordError(`a pattern takes values of at most ${maxCut} characters`);
    if (operator === "/") {
      const steps = this.#pattern("/");
      const replacement = this.#text[this.#at - 1] === "/" ? this.#inner() : "";
      return withReplaced(value, steps, replacement, doubled ? "all" : "first");
    }
    const steps = this.#pattern("}");
    return withoutEnd(value, steps, operator === "%" ? "end" : "start", doubled ? "longest" : "shortest");
  }

  /** What is between an operator and the closing brace, itself expanded. */
  #inner(): string {
    let result = "";
    for (;;) {
      const char = this.#text[this.#at];
      if (char === undefined) throw new WordError("syntax error: missing '}'");
      if (char === "}") {
        this.#at++;
        return result;
      }
      const step = this.#innerStep(char);
      this.#count(step);
      result += step;
    }
  }

  #innerStep(char: string): string {
    if (char === "$") return this.#dollar();
    if (char === '"' || char === "'") {
      const end = this.#text.indexOf(char, this.#at + 1);
      if (end < 0) throw new WordError("unexpected end of statement while looking for matching quote");
      const inner = this.#text.slice(this.#at + 1, end);
      this.#at = end + 1;
      return char === "'" ? inner : expandWord(`"${inner}"`, this.#escapeToken, this.#variables);
    }
    if (char === this.#escapeToken) {
      this.#at += 2;
      return this.#text[this.#at - 1] ?? "";
    }
    this.#at++;
    return char;
  }

  /** A pattern with `*` and `?` up to `end` or the closing brace; the end is left behind. */
  #pattern(end: string): GlobStep[] {
    const steps: GlobStep[] = [];
    for (;;) {
      const char = this.#text[this.#at];
      if (char === undefined) throw new WordError("syntax error: missing '}'");
      this.#at++;
      if (char === "}" || char === end) return steps;
      if (char === "*") steps.push({ is: "run" });
      else if (char === "?") steps.push(anyCharacter);
      else if (char === "$") {
        this.#at--;
        steps.push(...[...this.#dollar()].map(exactly));
      } else if (char === this.#escapeToken) {
        steps.push(...[...this.#character()].map(exactly));
      } else {
        this.#at--;
        steps.push(exactly(this.#character()));
      }
    }
  }

  /** The whole character that comes next, which is left behind; nothing at the end. */
  #character(): string {
    const code = this.#text.codePointAt(this.#at);
    const character = code === undefined ? "" : String.fromCodePoint(code);
    this.#at += Math.max(1, character.length);
    return character;
  }
}
