import { list, text, toggle } from "./parse/options.ts";
import { filtersOf } from "./parse/values.ts";
import { listText } from "./print/table.ts";
import { defineVerb } from "./verb.ts";

const columns = [
  { field: "Driver", header: "DRIVER" },
  { field: "Name", header: "VOLUME NAME" },
];
const more = [
  { field: "Mountpoint", header: "MOUNTPOINT" },
  { field: "Scope", header: "SCOPE" },
  { field: "Labels", header: "LABELS" },
];

export default defineVerb({
  usage: "volume ls [OPTIONS]",
  summary: "Lists volumes.",
  flags: {
    quiet: toggle("Names only", "q"),
    filter: list("NAME=VALUE", "Only those that match: name, label, dangling, driver", "f"),
    format: text("TEMPLATE", "table, json, or a template such as '{{.Name}}'"),
  },
  arguments: [0, 0],
  async action(context, { options }) {
    const hull = await context.hull();
    const volumes = await hull.volumes.list({ filters: filtersOf(options.filter) });
    const rows = volumes.map(({ Driver, Name, Mountpoint, Scope, Labels }) => ({
      Driver,
      Name,
      Mountpoint,
      Scope,
      Labels: Object.entries(Labels ?? {})
        .map(([name, value]) => `${name}=${value}`)
        .join(","),
    }));
    rows.sort((a, b) => (a.Name < b.Name ? -1 : 1));
    await context.stdout.write(listText(rows, { columns, more, quiet: "Name" }, options));
    return 0;
  },
});
