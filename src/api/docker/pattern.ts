/** Regular expressions of filters: Docker's are Go's (RE2), whose time grows with the pattern times the text. */
import { HullError } from "../../contract/errors.ts";

const mostCharacters = 1000;
/** In instructions of RE2: more take seconds, during which the daemon does nothing else. */
const mostInstructions = 10_000;

/** Tells whether the pattern is found anywhere in a text. Throws `invalidParameter`. */
export async function patternMatcher(filter: string, pattern: string): Promise<(text: string) => boolean> {
  // The usual filter is a plain word, and RE2 takes 10 MB of the daemon's memory.
  if (!/[\\.+*?()|[\]{}^$]/.test(pattern)) return (text) => text.includes(pattern);
  if (pattern.length > mostCharacters)
    throw notUnderstood(filter, pattern, `it has over ${mostCharacters} characters`);
  const { RE2JS, RE2JSSyntaxException } = await import("re2js");
  try {
    const compiled = RE2JS.compile(pattern);
    if (compiled.programSize() > mostInstructions)
      throw notUnderstood(filter, pattern, "it repeats too much");
    return (text) => compiled.test(text);
  } catch (error) {
    if (error instanceof RE2JSSyntaxException) throw notUnderstood(filter, pattern, error.message, error);
    throw error;
  }
}

function notUnderstood(filter: string, pattern: string, why: string, cause?: Error): HullError {
  return new HullError(
    "invalidParameter",
    {
      what: `filter ${filter}`,
      value: pattern,
      why: `it is no regular expression that is understood: ${why}`,
    },
    { cause },
  );
}
