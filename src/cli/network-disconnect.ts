import { toggle } from "./parse/options.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "network disconnect [OPTIONS] NETWORK WORKLOAD",
  summary: "Disconnects a workload from a network; one that runs, at once.",
  flags: { force: toggle("Even a workload that is being removed", "f") },
  arguments: [2, 2],
  async action(context, { options, args: [network = "", workload = ""] }) {
    const hull = await context.hull();
    await hull.networks.disconnect(network, workload, { force: options.force });
    return 0;
  },
});
