import type { Hull } from "../sdk/main.ts";
import { list, toggle } from "./parse/options.ts";
import { filtersOf } from "./parse/values.ts";
import { decimalSize } from "./print/human.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "image prune [OPTIONS]",
  summary: "Removes images without a name that no workload uses.",
  flags: {
    all: toggle("Also those with a name that no workload uses", "a"),
    filter: list("NAME=VALUE", "Only those that match: until, label, label!"),
    force: toggle("Accepted for scripts: nothing is asked anyway", "f"),
  },
  arguments: [0, 0],
  async action(context, { options }) {
    const hull = await context.hull();
    const { lines, reclaimed } = await pruneImages(hull, options.all, options.filter);
    for (const line of lines) await context.stdout.line(line);
    await context.stdout.line(`Total reclaimed space: ${decimalSize(reclaimed)}`);
    return 0;
  },
});

export async function pruneImages(
  hull: Hull,
  all: boolean,
  filters: readonly string[],
): Promise<{ readonly lines: readonly string[]; readonly reclaimed: number }> {
  const report = await hull.images.prune({
    filters: filtersOf([...filters, ...(all ? ["dangling=false"] : [])]),
  });
  const lines = (report.ImagesDeleted ?? []).map(({ Untagged, Deleted }) =>
    Untagged === undefined ? `deleted: ${Deleted ?? ""}` : `untagged: ${Untagged}`,
  );
  return { lines: lines.length === 0 ? [] : ["Deleted Images:", ...lines], reclaimed: report.SpaceReclaimed };
}
