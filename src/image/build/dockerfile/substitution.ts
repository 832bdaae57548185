/** What `${name#pattern}`, `${name%pattern}` and `${name/pattern/words}` make of a value. Pure. */
import { Glob, type GlobStep } from "../../../contract/glob.ts";

/** Without what matches at one end of the value, at least or at most. */
export function withoutEnd(
  value: string,
  steps: readonly GlobStep[],
  where: "start" | "end",
  which: "shortest" | "longest",
): string {
  const characters = [...value];
  if (where === "start")
    return characters.slice(new Glob(steps).lengthAtStart(characters, which) ?? 0).join("");
  // Read backwards, the end is the start.
  const length = new Glob(steps.toReversed()).lengthAtStart(characters.toReversed(), which) ?? 0;
  return characters.slice(0, characters.length - length).join("");
}

/** With other words in the place of the longest matches, from the left. */
export function withReplaced(
  value: string,
  steps: readonly GlobStep[],
  replacement: string,
  which: "first" | "all",
): string {
  const characters = [...value];
  let result = "";
  let done = 0;
  for (const [begin, end] of new Glob(steps).all(characters)) {
    result += characters.slice(done, begin).join("") + replacement;
    done = end;
    if (which === "first") break;
  }
  return result + characters.slice(done).join("");
}
