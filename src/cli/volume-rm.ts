import { forEach } from "./each.ts";
import { toggle } from "./parse/options.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "volume rm [OPTIONS] VOLUME [VOLUME...]",
  summary: "Removes volumes and the files in them.",
  flags: { force: toggle("One that is not there is no error", "f") },
  arguments: [1],
  action: (context, { options, args }) =>
    forEach(context, args, async (hull, name) => {
      await hull.volumes.remove(name, { force: options.force });
      return name;
    }),
});
