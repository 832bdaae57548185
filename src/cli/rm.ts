import { ApiError, type Hull } from "../sdk/main.ts";
import { forEach } from "./each.ts";
import { toggle } from "./parse/options.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "rm [OPTIONS] CONTAINER [CONTAINER...]",
  summary: "Removes workloads and what they wrote.",
  flags: {
    force: toggle("End running workloads, and say nothing of those that are not there", "f"),
    volumes: toggle("Remove their anonymous volumes too", "v"),
  },
  arguments: [1],
  action: (context, { options, args }) =>
    forEach(context, args, async (hull, name) => {
      await remove(hull, name, options);
      return name;
    }),
});

async function remove(
  hull: Hull,
  name: string,
  options: { readonly force: boolean; readonly volumes: boolean },
): Promise<void> {
  try {
    await hull.containers.remove(name, options);
  } catch (error) {
    // With -f the wish is that it be gone.
    if (!(options.force && error instanceof ApiError && error.status === 404)) throw error;
  }
}
