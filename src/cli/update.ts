import type { PortBinding } from "../contract/docker.ts";
import { forEach } from "./each.ts";
import { portBindingsOf } from "./parse/network.ts";
import { list, text, UsageError } from "./parse/options.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "update [OPTIONS] WORKLOAD [WORKLOAD...]",
  summary: "Changes workloads: their ports also while they run, their wall while they do not.",
  flags: {
    isolation: text("WALL", "Move to this wall, with files, volumes, networks and name: container or vm"),
    "publish-add": list("[[HOST:]PORT:]PORT", "Publish one more port"),
    "publish-rm": list("[HOST:]PORT", "No longer publish a port of the workload; with HOST, that one only"),
  },
  arguments: [1],
  async action(context, { options, args }) {
    const Add = portBindingsOf(options["publish-add"]);
    const Remove: Record<string, PortBinding[]> = portBindingsOf(options["publish-rm"]);
    const ports = Object.keys(Add).length + Object.keys(Remove).length > 0;
    const { isolation } = options;
    if (!ports && isolation === undefined)
      throw new UsageError("nothing is to be changed: use --isolation, --publish-add or --publish-rm");
    return await forEach(context, args, async (hull, name) => {
      if (isolation !== undefined) await hull.containers.move(name, isolation);
      if (ports) await hull.containers.changePorts(name, { Add, Remove });
      return name;
    });
  },
});
