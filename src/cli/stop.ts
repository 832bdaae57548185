import { forEach } from "./each.ts";
import { stoppingFlags, stoppingOf } from "./parse/stopping.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "stop [OPTIONS] CONTAINER [CONTAINER...]",
  summary: "Asks workloads to end, and kills those that do not.",
  flags: stoppingFlags,
  arguments: [1],
  action: (context, { options, args }) =>
    forEach(context, args, async (hull, name) => {
      await hull.containers.stop(name, stoppingOf(options));
      return name;
    }),
});
