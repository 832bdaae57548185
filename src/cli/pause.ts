import { forEach } from "./each.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "pause CONTAINER [CONTAINER...]",
  summary: "Pauses all processes of running workloads.",
  flags: {},
  arguments: [1],
  action: (context, { args }) =>
    forEach(context, args, async (hull, name) => {
      await hull.containers.pause(name);
      return name;
    }),
});
