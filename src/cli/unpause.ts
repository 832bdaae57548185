import { forEach } from "./each.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "unpause CONTAINER [CONTAINER...]",
  summary: "Lets paused workloads go on.",
  flags: {},
  arguments: [1],
  action: (context, { args }) =>
    forEach(context, args, async (hull, name) => {
      await hull.containers.unpause(name);
      return name;
    }),
});
