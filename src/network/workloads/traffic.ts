/** What workloads send and receive, read from the host's ends of their cables: what goes in there, they sent. */
import { findLink, type Traffic } from "../../host/network/links.ts";
import type { NetworkContext } from "../networks/context.ts";

export function trafficOf(context: NetworkContext, id: string): ReadonlyMap<string, Traffic> {
  const found = new Map<string, Traffic>();
  for (const endpoint of context.records.workloads.get(id)?.endpoints ?? []) {
    const link = findLink(context.socket, endpoint.hostLink);
    if (link !== undefined) found.set(endpoint.interface, turned(link.traffic));
  }
  return found;
}

function turned(host: Traffic): Traffic {
  return {
    receivedBytes: host.sentBytes,
    receivedPackets: host.sentPackets,
    receiveErrors: host.sendErrors,
    receiveDropped: host.sendDropped,
    sentBytes: host.receivedBytes,
    sentPackets: host.receivedPackets,
    sendErrors: host.receiveErrors,
    sendDropped: host.receiveDropped,
  };
}
