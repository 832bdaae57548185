import { forEach } from "./each.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "network rm NETWORK [NETWORK...]",
  summary: "Removes networks that no running workload is on.",
  flags: {},
  arguments: [1],
  action: (context, { args }) =>
    forEach(context, args, async (hull, name) => {
      await hull.networks.remove(name);
      return name;
    }),
});
