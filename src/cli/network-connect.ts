import { list, text } from "./parse/options.ts";
import { defineVerb } from "./verb.ts";

export default defineVerb({
  usage: "network connect [OPTIONS] NETWORK WORKLOAD",
  summary: "Connects a workload to one more network; one that runs, at once.",
  flags: {
    alias: list("NAME", "One more name on the network"),
    ip: text("ADDRESS", "IPv4 address"),
    ip6: text("ADDRESS", "IPv6 address"),
    "mac-address": text("ADDRESS", "Hardware address"),
    "gw-priority": text("NUMBER", "The network with the highest one is the way out"),
    link: list("NAME[:ALIAS]", "Name for another workload of the network"),
  },
  arguments: [2, 2],
  async action(context, { options, args: [network = "", workload = ""] }) {
    const hull = await context.hull();
    const { ip, ip6 } = options;
    const priority = options["gw-priority"];
    await hull.networks.connect(network, workload, {
      Aliases: options.alias,
      Links: options.link,
      IPAMConfig: ip === undefined && ip6 === undefined ? undefined : { IPv4Address: ip, IPv6Address: ip6 },
      MacAddress: options["mac-address"],
      GwPriority: priority === undefined ? undefined : Number(priority),
    });
    return 0;
  },
});
