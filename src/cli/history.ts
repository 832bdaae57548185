import { text, toggle } from "./parse/options.ts";
import { decimalSize, ellipsis, humanDuration, shortId, timestamp } from "./print/human.ts";
import { listText } from "./print/table.ts";
import { defineVerb } from "./verb.ts";

const columns = [
  { field: "ID", header: "IMAGE" },
  { field: "CreatedSince", header: "CREATED" },
  { field: "CreatedBy", header: "CREATED BY" },
  { field: "Size", header: "SIZE" },
  { field: "Comment", header: "COMMENT" },
];

export default defineVerb({
  usage: "history [OPTIONS] IMAGE",
  summary: "Shows the steps that an image was made in.",
  flags: {
    quiet: toggle("Print ids only", "q"),
    "no-trunc": toggle("Print ids and commands whole"),
    human: toggle("Sizes and times for people", "H", true),
    format: text("TEMPLATE", "table, json, or a template such as '{{.CreatedBy}}'"),
  },
  arguments: [1, 1],
  async action(context, { options, args: [image = ""] }) {
    const hull = await context.hull();
    const whole = options["no-trunc"];
    const rows = (await hull.images.history(image)).map((item) => {
      const created = item.Created * 1000;
      const createdBy = item.CreatedBy.replaceAll("\t", " ");
      return {
        ID: whole || item.Id.startsWith("<") ? item.Id : shortId(item.Id),
        CreatedSince:
          item.Created <= 0
            ? "N/A"
            : options.human
              ? `${humanDuration(Date.now() - created)} ago`
              : new Date(created).toISOString(),
        CreatedAt: item.Created <= 0 ? "N/A" : timestamp(created),
        CreatedBy: whole ? createdBy : ellipsis(createdBy, 45),
        Size: options.human ? decimalSize(item.Size) : String(item.Size),
        Comment: item.Comment,
      };
    });
    await context.stdout.write(listText(rows, { columns, quiet: "ID" }, options));
    return 0;
  },
});
