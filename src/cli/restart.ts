import { forEach } from "./each.ts";
import { stoppingFlags, stoppingOf } from "./parse/stopping.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "restart [OPTIONS] CONTAINER [CONTAINER...]",
  summary: "Stops workloads and starts them again.",
  flags: stoppingFlags,
  arguments: [1],
  action: (context, { options, args }) =>
    forEach(context, args, async (hull, name) => {
      await hull.containers.restart(name, stoppingOf(options));
      return name;
    }),
});
