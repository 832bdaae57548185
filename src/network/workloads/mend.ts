/**
 * What somebody took away or changed while workloads use it is put back: bridges deleted or set down by hand, their addresses,
 * cables pulled out of them or deleted, rules lost to a flush, forwarding turned off.
 */
import { messageOf } from "../../contract/errors.ts";
import type { Link } from "../../host/network/links.ts";
import { networkNamespaceOf } from "../../host/network/namespace.ts";
import { type Plug, plugAgain, plugIn } from "../links/wiring.ts";
import type { NetworkContext } from "../networks/context.ts";
import { wayOutOf } from "../networks/endpoints.ts";
import { raiseNetwork, turnForwardingOn } from "../networks/raise.ts";
import { tuneCables } from "../policy/cables.ts";
import { sizeSegments } from "../policy/segments.ts";
import type { WorkloadRecord } from "../records/types.ts";
import { plugsOf } from "./attach.ts";

export class Mender {
  readonly #context: NetworkContext;
  /** Cables that were not there at the last look: a workload that ends takes its own away. */
  #absent = new Set<string>();
  /** Those that are told to be gone for good. */
  readonly #told = new Set<string>();

  constructor(context: NetworkContext) {
    this.#context = context;
  }

  async look(): Promise<void> {
    const { bridges, firewall } = this.#context;
    if (bridges.any) {
      const links = bridges.links();
      await this.#mendBridges(links);
      this.#mendCables(links);
    }
    await firewall.mend();
    await this.#mendForwarding();
  }

  /** A host's settings are loaded anew now and then, and say what they said before there was a network of Hull's. */
  async #mendForwarding(): Promise<void> {
    const { records, bridges, firewall, log } = this.#context;
    const up = [...records.networks.values()].filter(({ id }) => bridges.isUp(id));
    if (!turnForwardingOn(this.#context, up)) return;
    log.warn("somebody turned the host's forwarding off, which networks need: it is on again");
    // It may be Hull who has it on only now, which the rules keep to what is Hull's.
    await firewall.establish();
  }

  async #mendBridges(links: ReadonlyMap<string, Link>): Promise<void> {
    const { records, bridges, resolvers, log } = this.#context;
    for (const network of bridges.missing([...records.networks.values()], links)) {
      const { name, bridge } = network;
      log.warn("a network's bridge is gone: it is made again", { network: name, bridge });
      try {
        resolvers.close(network.id);
        await raiseNetwork(this.#context, network.id);
        for (const workload of records.workloads.values()) {
          if (!workload.live) continue;
          const endpoints = workload.endpoints.filter((endpoint) => endpoint.network === network.id);
          plugAgain(plugsOf(this.#context, endpoints), this.#context.socket);
          sizeSegments(this.#context, workload);
        }
      } catch (error) {
        log.error("a network's bridge could not be made again", { network: name, why: messageOf(error) });
      }
    }
    for (const { name, bridge } of bridges.putInOrder([...records.networks.values()], links))
      log.warn("somebody changed a network's bridge: it is put in order", { network: name, bridge });
  }

  #mendCables(links: ReadonlyMap<string, Link>): void {
    const { records, socket } = this.#context;
    const before = this.#absent;
    this.#absent = new Set();
    for (const workload of records.workloads.values()) {
      if (!workload.live) continue;
      for (const plug of plugsOf(this.#context, workload.endpoints)) {
        const { hostLink, hardware } = plug.endpoint;
        // One that is being connected, and has no cable yet.
        if (hardware === undefined) continue;
        const link = links.get(hostLink);
        if (link === undefined) {
          this.#absent.add(hostLink);
          if (before.has(hostLink)) this.#layAgain(workload, plug);
        } else if (link.master !== plug.bridge || !link.up) plugAgain([plug], socket);
      }
    }
  }

  #layAgain(workload: WorkloadRecord, plug: Plug): void {
    const { log, processOf, socket: host, tag } = this.#context;
    const { hostLink, interface: name } = plug.endpoint;
    const pid = processOf(workload.id);
    if (pid === undefined || this.#told.has(hostLink)) return;
    this.#told.add(hostLink);
    const about = { workload: workload.name, interface: name, network: plug.network.name };
    // The other end of a machine's was spliced to its card.
    if (workload.wall === "vm") {
      log.error(
        "a machine's cable is gone: disconnect it from the network and connect it again, or restart it",
        about,
      );
      return;
    }
    try {
      using namespace = networkNamespaceOf(pid);
      if (namespace === undefined) return;
      const wayOut = wayOutOf(this.#context, workload.endpoints);
      plugIn(namespace, [plug], { host, tag, configure: true, wayOut });
      tuneCables(this.#context, workload);
      this.#told.delete(hostLink);
      log.warn("a workload's cable was gone: another one is laid", about);
    } catch (error) {
      log.error("a workload's cable is gone and could not be laid again: restart it", {
        ...about,
        why: messageOf(error),
      });
    }
  }
}
