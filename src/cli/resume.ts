import { forEach } from "./each.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "resume CONTAINER [CONTAINER...]",
  summary: "Makes suspended workloads go on exactly where they were.",
  details:
    "One whose saved memory is damaged starts anew, with its files but without its memory, after `hull kill`.",
  flags: {},
  arguments: [1],
  action: (context, { args }) =>
    forEach(context, args, async (hull, name) => {
      await hull.containers.resume(name);
      return name;
    }),
});
