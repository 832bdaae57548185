import { list, toggle } from "./parse/options.ts";
import { filtersOf } from "./parse/values.ts";
import { decimalSize } from "./print/human.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "volume prune [OPTIONS]",
  summary: "Removes volumes that no workload has: those without a name, or all.",
  flags: {
    all: toggle("Those with a name, too", "a"),
    force: toggle("Accepted for Docker's sake: nothing is asked", "f"),
    filter: list("NAME=VALUE", "Only those that match: label"),
  },
  arguments: [0, 0],
  async action(context, { options }) {
    const hull = await context.hull();
    const filters = filtersOf([...options.filter, ...(options.all ? ["all=true"] : [])]);
    const pruned = await hull.volumes.prune({ filters });
    for (const name of pruned.VolumesDeleted ?? []) await context.stdout.line(name);
    await context.stdout.line(`Total reclaimed space: ${decimalSize(pruned.SpaceReclaimed)}`);
    return 0;
  },
});
