/** What `inspect` prints: everything that was found as one list, then what was not found. */
import { ApiError, type Hull } from "../sdk/main.ts";
import type { Context } from "./context.ts";
import { unescapeBlanks } from "./print/table.ts";
import { renderTemplate } from "./print/template.ts";
import { complaint } from "./print/visible.ts";

export async function inspectEach(
  context: Context,
  names: readonly string[],
  format: string | undefined,
  inspect: (hull: Hull, name: string) => Promise<unknown>,
): Promise<number> {
  const hull = await context.hull();
  const found: unknown[] = [];
  const problems: string[] = [];
  for (const name of names) {
    try {
      found.push(await inspect(hull, name));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      problems.push(complaint(error));
    }
  }
  await context.stdout.write(textOf(found, format));
  for (const problem of problems) await context.stderr.line(problem);
  return problems.length === 0 ? 0 : 1;
}

function textOf(found: readonly unknown[], format: string | undefined): string {
  if (format === undefined || format === "") return `${JSON.stringify(found, undefined, 4)}\n`;
  if (format === "json") return `${JSON.stringify(found)}\n`;
  return found.map((value) => `${renderTemplate(unescapeBlanks(format), value)}\n`).join("");
}
