import { list, toggle } from "./parse/options.ts";
import { filtersOf } from "./parse/values.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "network prune [OPTIONS]",
  summary: "Removes the networks that no workload is on.",
  flags: {
    force: toggle("Accepted for Docker's sake: nothing is asked", "f"),
    filter: list("NAME=VALUE", "Only those that match: label, until"),
  },
  arguments: [0, 0],
  async action(context, { options }) {
    const hull = await context.hull();
    const removed = await hull.networks.prune({ filters: filtersOf(options.filter) });
    if (removed.length > 0) await context.stdout.line("Deleted Networks:");
    for (const name of removed) await context.stdout.line(name);
    return 0;
  },
});
