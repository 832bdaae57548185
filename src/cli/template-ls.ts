import { toggle } from "./parse/options.ts";
import { binarySize, decimalSize, humanDuration, shortId } from "./print/human.ts";
import { tableText } from "./print/table.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "template ls [OPTIONS]",
  summary: "Lists what virtual machines start from.",
  flags: { quiet: toggle("Ids only", "q"), "no-trunc": toggle("Print ids whole") },
  arguments: [0, 0],
  async action(context, { options }) {
    const hull = await context.hull();
    const templates = await hull.templates.list();
    const idOf = (id: string): string => (options["no-trunc"] ? id : shortId(id));
    if (options.quiet) {
      for (const { Id } of templates) await context.stdout.line(idOf(Id));
      return 0;
    }
    const rows = templates.map((template) => [
      idOf(template.Id),
      template.State,
      ...(template.State === "damaged"
        ? ["", "", "", "", ""]
        : [
            binarySize(template.Memory),
            String(template.Cpus),
            String(template.Layers),
            template.Acceleration,
            `${humanDuration(Date.now() - template.Created * 1000)} ago`,
          ]),
      decimalSize(template.Size),
    ]);
    const header = ["TEMPLATE ID", "STATE", "MEMORY", "CPUS", "LAYERS", "ACCELERATION", "CREATED", "SIZE"];
    await context.stdout.write(tableText([header, ...rows]));
    return 0;
  },
});
