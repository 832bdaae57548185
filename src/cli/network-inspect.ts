import { ApiError } from "../sdk/main.ts";
import { text } from "./parse/options.ts";
import { unescapeBlanks } from "./print/table.ts";
import { renderTemplate } from "./print/template.ts";
import { complaint } from "./print/visible.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "network inspect [OPTIONS] NETWORK [NETWORK...]",
  summary: "Shows all that is known of networks.",
  flags: { format: text("TEMPLATE", "json, or a template such as '{{.Driver}}'", "f") },
  arguments: [1],
  async action(context, { options: { format }, args }) {
    const hull = await context.hull();
    const found: unknown[] = [];
    const problems: string[] = [];
    for (const name of args) {
      try {
        found.push(await hull.networks.inspect(name));
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        problems.push(complaint(error));
      }
    }
    await context.stdout.write(textOf(found, format));
    for (const problem of problems) await context.stderr.line(problem);
    return problems.length === 0 ? 0 : 1;
  },
});

function textOf(found: readonly unknown[], format: string | undefined): string {
  if (format === undefined || format === "") return `${JSON.stringify(found, undefined, 4)}\n`;
  if (format === "json") return `${JSON.stringify(found)}\n`;
  return found.map((value) => `${renderTemplate(unescapeBlanks(format), value)}\n`).join("");
}
