/**
 * The patterns of `.dockerignore`. The client leaves out what they name so that it is not sent, and the daemon
 * leaves it out of whatever context it got, so both read them here.
 * Source: Docker's documentation, ".dockerignore files"; moby patternmatcher.
 */

export interface IgnorePatterns {
  /** `path`: relative, with `/` between its parts. A directory that is ignored may have files that are not. */
  ignores(path: string): boolean;
  /** Whether something below an ignored directory may be wanted after all. */
  readonly hasExceptions: boolean;
}

interface Pattern {
  readonly exception: boolean;
  readonly matches: RegExp;
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
  return {
    hasExceptions: patterns.some((pattern) => pattern.exception),
    ignores(path) {
      let ignored = false;
      for (const pattern of patterns)
        if (pattern.exception === ignored && matchesOrContains(pattern.matches, path)) ignored = !ignored;
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
  return { exception, matches: globPattern(text, line) };
}

/** A pattern that names a directory names all below it. */
function matchesOrContains(pattern: RegExp, path: string): boolean {
  for (let end = path.length; end > 0; end = path.lastIndexOf("/", end - 1))
    if (pattern.test(path.slice(0, end))) return true;
  return false;
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
 * it is. `shown` names the pattern in errors.
 */
export function globPattern(pattern: string, shown = pattern): RegExp {
  let source = "";
  for (let at = 0; at < pattern.length; at++) {
    const char = pattern[at] ?? "";
    if (char === "*" && pattern[at + 1] === "*") {
      while (pattern[at + 1] === "*") at++;
      if (pattern[at + 1] === "/") at++;
      source += at + 1 >= pattern.length ? ".*" : "(?:.*/)?";
    } else if (char === "*") source += "[^/]*";
    else if (char === "?") source += "[^/]";
    else if (char === "[") {
      const end = setEnd(pattern, at);
      if (end < 0)
        throw new SyntaxError(`syntax error in pattern ${JSON.stringify(shown)}: a [ is not closed`);
      const inner = pattern.slice(at + 1, end).replace(/^[!^]/, "^");
      const negated = inner.startsWith("^") ? "^" : "";
      source += `[${negated}${inner.slice(negated.length).replaceAll(/[[\]]/g, "\\$&")}]`;
      at = end;
    } else if (char === "\\") {
      at++;
      if (at >= pattern.length) throw new SyntaxError(`syntax error in pattern ${JSON.stringify(shown)}`);
      source += escaped(pattern[at] ?? "");
    } else source += escaped(char);
  }
  try {
    return new RegExp(`^${source}$`, "s");
  } catch {
    throw new SyntaxError(`syntax error in pattern ${JSON.stringify(shown)}`);
  }
}

function setEnd(pattern: string, start: number): number {
  const first = pattern[start + 1] === "^" || pattern[start + 1] === "!" ? start + 3 : start + 2;
  for (let at = first; at < pattern.length; at++) {
    if (pattern[at] === "\\") at++;
    else if (pattern[at] === "]") return at;
  }
  return -1;
}

function escaped(char: string): string {
  return char.replace(/[\\^$.*+?()[\]{}|/]/, "\\$&");
}
