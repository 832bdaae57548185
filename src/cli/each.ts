/** One action on each of several named things, as far as it goes: what fails is said and does not keep the rest from being done. */
import type { Hull } from "../sdk/main.ts";
import type { Context } from "./context.ts";
import { complaint } from "./print/visible.ts";

/** Prints what `action` returns for each name, in the order of the names; returns the exit code. */
export async function forEach(
  context: Context,
  names: readonly string[],
  action: (hull: Hull, name: string) => Promise<string>,
): Promise<number> {
  const hull = await context.hull();
  const outcomes = names.map((name) =>
    action(hull, name).then(
      (text) => ({ text, failed: false }),
      (error: unknown) => ({ text: complaint(error), failed: true }),
    ),
  );
  let code = 0;
  for (const outcome of outcomes) {
    const { text, failed } = await outcome;
    await (failed ? context.stderr : context.stdout).line(text);
    if (failed) code = 1;
  }
  return code;
}
