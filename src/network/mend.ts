/** What somebody took away while workloads use it is made again: bridges deleted by hand, rules lost to a flush. */
import { messageOf } from "../contract/errors.ts";
import { plugsOf } from "./attach.ts";
import type { NetworkContext } from "./context.ts";
import { raiseNetwork } from "./raise.ts";
import { plugAgain } from "./wiring.ts";

export async function mendNetworks(context: NetworkContext): Promise<void> {
  const { records, bridges, resolvers, firewall, socket, log } = context;
  for (const network of bridges.missing([...records.networks.values()])) {
    log.warn("a network's bridge is gone: it is made again", {
      network: network.name,
      bridge: network.bridge,
    });
    try {
      resolvers.close(network.id);
      await raiseNetwork(context, network.id);
      for (const workload of records.workloads.values()) {
        if (!workload.live) continue;
        const endpoints = workload.endpoints.filter((endpoint) => endpoint.network === network.id);
        plugAgain(plugsOf(context, endpoints), socket);
      }
    } catch (error) {
      log.error("a network's bridge could not be made again", {
        network: network.name,
        why: messageOf(error),
      });
    }
  }
  await firewall.mend();
}
