/**
 * A Dockerfile's text cut into instructions: parser directives, comments, continued lines, here-documents.
 * Source: Dockerfile reference; BuildKit frontend/dockerfile/parser/parser.go and directives.go, whose rules these are.
 */
import { HullError } from "../../../contract/errors.ts";
import { dockerfileError } from "./syntax.ts";
import { splitRaw } from "./words.ts";

export interface RawInstruction {
  /** Upper case. */
  readonly name: string;
  /** What follows the name and the flags; lines that were continued are joined. */
  readonly rest: string;
  /** `--from=x`, in order. */
  readonly flags: readonly string[];
  readonly heredocs: readonly Heredoc[];
  /** The whole instruction as one line, for the build's output. */
  readonly text: string;
  /** Counted from 1. */
  readonly line: number;
}

export interface Heredoc {
  readonly name: string;
  readonly content: string;
  /** Variables in the content are replaced: the name was not quoted. */
  readonly expand: boolean;
}

export interface DockerfileText {
  readonly escapeToken: string;
  readonly instructions: readonly RawInstruction[];
}

export const maxDockerfileBytes = 1024 * 1024;
const maxInstructions = 2_000;

export function readDockerfile(text: string): DockerfileText {
  const lines = text.replace(/^\u{feff}/u, "").split("\n");
  // No program, file or variable can be named with one.
  const withNul = lines.findIndex((line) => line.includes("\0"));
  if (withNul >= 0) throw dockerfileError(withNul + 1, "it has a NUL: is it a text file in UTF-8?");
  const { escapeToken, next } = readDirectives(lines);
  const reader = new LineReader(lines, escapeToken, next);
  const instructions: RawInstruction[] = [];
  for (let each = reader.next(); each !== undefined; each = reader.next()) {
    instructions.push(each);
    if (instructions.length > maxInstructions)
      throw new HullError("tooLarge", {
        what: "the Dockerfile",
        value: "its number of instructions",
        limit: maxInstructions,
      });
  }
  if (instructions.length === 0) throw dockerfileError(lines.length, "file with no instructions");
  return { escapeToken, instructions };
}

/** Directives stand in the first lines; the first line that is none ends them. */
function readDirectives(lines: readonly string[]): { escapeToken: string; next: number } {
  const seen = new Map<string, string>();
  let next = 0;
  for (; next < lines.length; next++) {
    const match = /^#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+)$/.exec(lines[next]?.trimEnd() ?? "");
    const name = match?.[1]?.toLowerCase() ?? "";
    if (!["syntax", "escape", "check"].includes(name)) break;
    if (seen.has(name)) throw dockerfileError(next + 1, `only one ${name} parser directive can be used`);
    seen.set(name, match?.[2] ?? "");
  }
  const escapeToken = seen.get("escape") ?? "\\";
  if (escapeToken !== "\\" && escapeToken !== "`")
    throw dockerfileError(next, `invalid escape token '${escapeToken}': it is \\ or \``);
  return { escapeToken, next };
}

class LineReader {
  readonly #lines: readonly string[];
  readonly #escapeToken: string;
  readonly #continued: RegExp;
  #next: number;

  constructor(lines: readonly string[], escapeToken: string, next: number) {
    this.#lines = lines;
    this.#escapeToken = escapeToken;
    this.#next = next;
    const token = escapeToken === "\\" ? "\\\\" : escapeToken;
    this.#continued = new RegExp(`(^|[^${token}])${token}[ \\t]*$`);
  }

  next(): RawInstruction | undefined {
    for (;;) {
      const first = this.#take();
      if (first === undefined) return undefined;
      const line = this.#next;
      const start = first.trimStart();
      if (start === "" || start.startsWith("#")) continue;
      const text = this.#logicalLine(start);
      if (text.trim() !== "") return this.#instruction(text.trim(), line);
    }
  }

  /** Without what ends it, a carriage return included. */
  #take(): string | undefined {
    const line = this.#lines[this.#next];
    if (line === undefined) return undefined;
    this.#next++;
    return line.replace(/\r$/, "");
  }

  /** Comments and empty lines between continued ones are left out. */
  #logicalLine(start: string): string {
    let text = "";
    for (let line: string | undefined = start; line !== undefined; line = this.#take()) {
      if (line !== start && (/^\s*#/.test(line) || line.trim() === "")) continue;
      const joined = line.replace(this.#continued, "$1");
      text += joined;
      if (joined === line) break;
    }
    return text;
  }

  #instruction(text: string, line: number): RawInstruction {
    const match = /^(\S+)(?:\s+(.*))?$/s.exec(text);
    const name = (match?.[1] ?? "").toUpperCase();
    const { flags, rest } = splitFlags(match?.[2] ?? "", this.#escapeToken);
    const inner = name === "ONBUILD" ? /^\s*(\S+)/.exec(rest)?.[1]?.toUpperCase() : name;
    const takesHeredocs = ["RUN", "COPY", "ADD"].includes(inner ?? "") && !rest.trimStart().startsWith("[");
    const heredocs = takesHeredocs && rest.includes("<<") ? this.#heredocs(rest, line) : [];
    return { name, flags, rest, heredocs, line, text };
  }

  #heredocs(rest: string, line: number): Heredoc[] {
    const found: Heredoc[] = [];
    for (const word of splitRaw(rest, this.#escapeToken)) {
      const head = heredocHead(word);
      if (head === undefined) continue;
      const content: string[] = [];
      for (;;) {
        const next = this.#take();
        if (next === undefined) throw dockerfileError(line, `unterminated heredoc ${head.name}`);
        const bare = head.chomp ? next.replace(/^\t+/, "") : next;
        if (bare === head.name) break;
        content.push(`${head.chomp ? bare : next}\n`);
      }
      found.push({ name: head.name, content: content.join(""), expand: head.expand });
    }
    return found;
  }
}

/** `<<EOF`, `<<-EOF`, `<<"EOF"`, with a descriptor's number in front for the shell. */
export function heredocHead(word: string): { name: string; chomp: boolean; expand: boolean } | undefined {
  const match = /^\d*<<(-?)(?:"([^"<\s]+)"|'([^'<\s]+)'|([^"'<\s]+))$/.exec(word);
  if (match === null) return undefined;
  const [, chomp, double, single, plain] = match;
  const name = double ?? single ?? plain;
  return name === undefined ? undefined : { name, chomp: chomp === "-", expand: plain !== undefined };
}

/** Leading words that start with `--`; `--` alone ends them. */
function splitFlags(text: string, escapeToken: string): { flags: string[]; rest: string } {
  const flags: string[] = [];
  let rest = text.trimStart();
  while (rest.startsWith("--")) {
    const [word = ""] = splitRaw(rest, escapeToken, 1);
    rest = rest.slice(word.length).trimStart();
    if (word === "--") break;
    flags.push(word);
  }
  return { flags, rest };
}
