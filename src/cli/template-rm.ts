import { forEach } from "./each.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "template rm TEMPLATE [TEMPLATE...]",
  summary: "Removes templates; what was started from them runs on.",
  flags: {},
  arguments: [1],
  action: (context, { args }) =>
    forEach(context, args, async (hull, name) => (await hull.templates.remove(name)).Id),
});
