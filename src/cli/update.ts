import type { PortBinding } from "../contract/docker.ts";
import { forEach } from "./each.ts";
import { policyChangeOf, policyFlags, portBindingsOf } from "./parse/network.ts";
import { list, text, UsageError } from "./parse/options.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "update [OPTIONS] WORKLOAD [WORKLOAD...]",
  summary: "Changes workloads: ports, reach and rates also while they run, the wall while they do not.",
  flags: {
    isolation: text("WALL", "Move to this wall, with files, volumes, networks and name: container or vm"),
    "publish-add": list("[[HOST:]PORT:]PORT", "Publish one more port"),
    "publish-rm": list("[HOST:]PORT", "No longer publish a port of the workload; with HOST, that one only"),
    ...policyFlags,
  },
  arguments: [1],
  async action(context, { options, args }) {
    const Add = portBindingsOf(options["publish-add"]);
    const Remove: Record<string, PortBinding[]> = portBindingsOf(options["publish-rm"]);
    const ports = Object.keys(Add).length + Object.keys(Remove).length > 0;
    const change = policyChangeOf(options);
    const policy = Object.keys(change).length > 0;
    const { isolation } = options;
    if (!ports && !policy && isolation === undefined)
      throw new UsageError(
        "nothing is to be changed: use --isolation, --publish-add, --publish-rm, --egress-allow, --ingress-rate or --egress-rate",
      );
    return await forEach(context, args, async (hull, name) => {
      if (isolation !== undefined) await hull.containers.move(name, isolation);
      if (policy) await hull.containers.changePolicy(name, change);
      if (ports) await hull.containers.changePorts(name, { Add, Remove });
      return name;
    });
  },
});
