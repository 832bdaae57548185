import { list, text, toggle } from "./parse/options.ts";
import { bytesOf, filtersOf } from "./parse/values.ts";
import { decimalSize } from "./print/human.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "builder prune [OPTIONS]",
  summary: "Forgets what steps of earlier builds made, and frees the disk that only they take.",
  flags: {
    all: toggle("Also steps whose layers an image has, too", "a"),
    filter: list("NAME=VALUE", "Only some: until, id, description, shared, private"),
    force: toggle("Accepted for scripts: nothing is asked anyway", "f"),
    "keep-storage": text("BYTES", "Forget the least recently used until no more than this is left"),
  },
  arguments: [0, 0],
  async action(context, { options }) {
    const hull = await context.hull();
    const keep = options["keep-storage"];
    const report = await hull.builder.prune({
      all: options.all,
      keepStorage: keep === undefined ? undefined : bytesOf("--keep-storage", keep),
      filters: filtersOf(options.filter),
    });
    for (const id of report.CachesDeleted ?? []) await context.stdout.line(id);
    await context.stdout.line(`Total reclaimed space: ${decimalSize(report.SpaceReclaimed)}`);
    return 0;
  },
});
