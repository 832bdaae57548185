import { forEach } from "./each.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "suspend CONTAINER [CONTAINER...]",
  summary: "Saves the memory of virtual machines to the disk and ends them, until they are resumed.",
  details:
    "A suspended workload takes no memory, outlives restarts of the daemon and of the host, and is shown as paused to Docker's clients.\nAttachments and exec sessions end. On the container wall, use pause.",
  flags: {},
  arguments: [1],
  action: (context, { args }) =>
    forEach(context, args, async (hull, name) => {
      await hull.containers.suspend(name);
      return name;
    }),
});
