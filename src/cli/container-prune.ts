import { list, toggle } from "./parse/options.ts";
import { filtersOf } from "./parse/values.ts";
import { decimalSize } from "./print/human.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "container prune [OPTIONS]",
  summary: "Removes all workloads that do not run.",
  flags: {
    filter: list("NAME=VALUE", "Only those that match: until, label, label!"),
    force: toggle("Accepted for scripts: nothing is asked anyway", "f"),
  },
  arguments: [0, 0],
  async action(context, { options }) {
    const hull = await context.hull();
    const report = await hull.containers.prune({ filters: filtersOf(options.filter) });
    const deleted = report.ContainersDeleted ?? [];
    if (deleted.length > 0) await context.stdout.line("Deleted Containers:");
    for (const id of deleted) await context.stdout.line(id);
    await context.stdout.line(`Total reclaimed space: ${decimalSize(report.SpaceReclaimed)}`);
    return 0;
  },
});
