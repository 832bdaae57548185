import { forEach } from "./each.ts";
import { toggle } from "./parse/options.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "rmi [OPTIONS] IMAGE [IMAGE...]",
  summary: "Removes names of images, and images that no name is left of.",
  flags: {
    force: toggle("Remove images that stopped workloads use", "f"),
    "no-prune": toggle("Keep parents without a name"),
  },
  arguments: [1],
  action: (context, { options, args }) =>
    forEach(context, args, async (hull, name) => {
      const removed = await hull.images.remove(name, { force: options.force, noPrune: options["no-prune"] });
      const lines = removed.map((item) =>
        item.Untagged === undefined ? `Deleted: ${item.Deleted ?? ""}` : `Untagged: ${item.Untagged}`,
      );
      return lines.join("\n");
    }),
});
