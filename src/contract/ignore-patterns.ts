/**
 * The patterns of `.dockerignore`. The client leaves out what they name so that it is not sent, and the daemon
 * leaves it out of whatever context it got, so both read them here.
 * Source: Docker's documentation, ".dockerignore files"; moby patternmatcher.
 */
import { anyOfName, exactly, Glob, type GlobStep } from "./glob.ts";

/** Of one pattern, and of patterns: every path is held against every pattern. */
const maxPatternLength = 4096;
const maxPatterns = 10_000;

export interface IgnorePatterns {
  /** `path`: relative, with `/` between its parts. A directory that is ignored may have files that are not. */
  ignores(path: string): boolean;
  /** Whether something below an ignored directory may be wanted after all. */
  readonly hasExceptions: boolean;
}

interface Pattern {
  readonly exception: boolean;
  readonly glob: Glob;
}

/** Throws `SyntaxError` for a pattern that is none. */
export function ignorePatterns(text: string): IgnorePatterns {
  const patterns = text
    .replace(/^\ufeff/, "")
    .split("\n")
    .filter((line) => !line.startsWith("#"))
    .map((line) => line.trim())
    .filter((line) => line !== "")
    .map(patternOf)
    .filter((pattern) => pattern !== undefined);
  if (patterns.length > maxPatterns) throw new SyntaxError(`there are more than ${maxPatterns} patterns`);
  return {
    hasExceptions: patterns.some((pattern) => pattern.exception),
    ignores(path) {
      let ignored = false;
      const characters = [...path];
      // A pattern that names a directory names all below it.
      for (const { exception, glob } of patterns)
        if (exception === ignored && glob.matchesPathOrParent(characters)) ignored = !ignored;
      return ignored;
    },
  };
}

function patternOf(line: string): Pattern | undefined {
  const exception = line.startsWith("!");
  const text = cleanPath(exception ? line.slice(1).trim() : line);
  if (text === "") {
    if (exception) throw new SyntaxError(`illegal exclusion pattern: ${JSON.stringify(line)}`);
    return undefined;
  }
  return { exception, glob: pathGlob(text, line) };
}

/** Go's filepath.Clean, with the leading slash taken away: patterns are relative to the context's root. */
function cleanPath(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part === ".." && parts.length > 0 && parts.at(-1) !== "..") parts.pop();
    else if (part !== ".." || parts.length > 0) parts.push(part);
  }
  return parts.join("/");
}

/**
 * `*` and `?` stop at a slash, `**` does not, `[a-z]` is one character of a set, a backslash takes the next one as
 * it is. `shown` names the pattern in errors. Throws `SyntaxError`.
 */
export function pathGlob(pattern: string, shown = pattern): Glob {
  const wrong = (why: string) =>
    new SyntaxError(`syntax error in pattern ${JSON.stringify(shown.slice(0, 200))}${why}`);
  if (pattern.length > maxPatternLength) throw wrong(`: it has more than ${maxPatternLength} characters`);
  const characters = [...pattern];
  const steps: GlobStep[] = [];
  for (let at = 0; at < characters.length; at++) {
    const char = characters[at] ?? "";
    if (char === "*" && characters[at + 1] === "*") {
      while (characters[at + 1] === "*") at++;
      if (characters[at + 1] === "/") at++;
      steps.push({ is: at + 1 >= characters.length ? "run" : "directories" });
    } else if (char === "*") steps.push({ is: "part" });
    else if (char === "?") steps.push(anyOfName);
    else if (char === "[") {
      const set = characterSet(characters, at);
      if (set === undefined) throw wrong(": a [ is not closed");
      if (set.ranges.some(([from, to]) => from > to)) throw wrong(": a range ends before it begins");
      steps.push({ is: "character", accepts: (character) => isOneOf(set.ranges, character) !== set.negated });
      at = set.end;
    } else if (char === "\\") {
      at++;
      const next = characters[at];
      if (next === undefined) throw wrong("");
      steps.push(exactly(next));
    } else steps.push(exactly(char));
  }
  return new Glob(steps);
}

type Range = readonly [from: string, to: string];

/** The set whose bracket is at `start`; undefined when it is not closed. */
function characterSet(
  characters: readonly string[],
  start: number,
): { readonly ranges: readonly Range[]; readonly negated: boolean; readonly end: number } | undefined {
  const negated = ["^", "!"].includes(characters[start + 1] ?? "");
  const ranges: Range[] = [];
  let at = start + (negated ? 2 : 1);
  const one = (): string | undefined => {
    if (characters[at] === "\\") at++;
    return characters[at++];
  };
  // A bracket that comes first is one of the set.
  for (let first = true; first || characters[at] !== "]"; first = false) {
    const from = one();
    if (from === undefined) return undefined;
    const ranged = characters[at] === "-" && characters[at + 1] !== "]";
    if (ranged) at++;
    const to = ranged ? one() : from;
    if (to === undefined) return undefined;
    ranges.push([from, to]);
  }
  return { ranges, negated, end: at };
}

function isOneOf(ranges: readonly Range[], character: string): boolean {
  const code = character.codePointAt(0) ?? 0;
  return ranges.some(([from, to]) => code >= (from.codePointAt(0) ?? 0) && code <= (to.codePointAt(0) ?? 0));
}
