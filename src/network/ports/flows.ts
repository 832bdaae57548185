/**
 * Flows of published ports that go where these no longer lead. UDP has no connections: a client that never falls silent is
 * one flow for ever, and would be sent to a workload that has gone, or to nobody if it spoke before the port was published.
 * An association of SCTP that is made again by the same ends is the same flow, too.
 *
 * TCP is not concerned: every connection is a flow of its own, and goes on where it went.
 */
import { messageOf } from "../../contract/errors.ts";
import type { Logger } from "../../contract/logger.ts";
import { hostAddresses } from "../../host/network/addresses.ts";
import { ConnectionTracking, type Flow } from "../../host/network/connection-tracking.ts";
import type { NetlinkSocket } from "../../host/network/netlink.ts";
import { bytesOfText } from "../addresses/address.ts";
import type { Redirect } from "../firewall/rules.ts";

/** Their numbers in IP's header. */
const followed = [
  ["udp", 17],
  ["sctp", 132],
] as const;

/** Makes the kernel forget them; to be called once the packet filter says what is to hold. */
export function forgetStaleFlows(
  { socket, log }: { readonly socket: NetlinkSocket; readonly log: Logger },
  change: "add" | "delete",
  redirects: readonly Redirect[],
): void {
  if (redirects.every(({ bound }) => bound.protocol === "tcp")) return;
  try {
    using tracking = new ConnectionTracking();
    const local = hostAddresses(socket);
    for (const [protocol, number] of followed)
      for (const family of [4, 6] as const) {
        const concerned = redirects.filter(
          ({ bound, address }) => bound.protocol === protocol && address.includes(":") === (family === 6),
        );
        if (concerned.length > 0)
          tracking.forget(staleFlows(tracking.flows(family, number), change, concerned, local));
      }
  } catch (error) {
    // The ports are published all the same.
    log.warn(
      "could not look for old flows of published ports: a client that goes on sending may not be led on",
      {
        why: messageOf(error),
      },
    );
  }
}

/**
 * Those among `flows`, of the protocol and family of all the `redirects`, that are to be forgotten now that these hold, or hold
 * no longer. `local`: the host's own addresses.
 */
export function staleFlows(
  flows: readonly Flow[],
  change: "add" | "delete",
  redirects: readonly Redirect[],
  local: readonly Buffer[],
): Flow[] {
  const places = new Set(local.map(textOf));
  const ends = Map.groupBy(
    redirects.map(({ bound, address }) => ({
      hostPort: bound.hostPort,
      at: textOf(bytesOfText(bound.hostAddress, "host address")),
      behind: `${textOf(bytesOfText(address, "address"))} ${bound.port}`,
    })),
    ({ hostPort }) => hostPort,
  );
  return flows.filter(({ original, reply }) => {
    const destination = textOf(original.destination);
    const isLocal = places.has(destination) || original.destination[0] === loopbackNetwork;
    return (ends.get(original.destinationPort) ?? []).some(({ at, behind }) => {
      const concerns = /^0+$/.test(at) ? isLocal : at === destination;
      const leadsThere = behind === `${textOf(reply.source)} ${reply.sourcePort}`;
      return concerns && leadsThere === (change === "delete");
    });
  });
}

/** 127.0.0.0/8, for IPv4 addresses; no address of the host's of IPv6 begins so. */
const loopbackNetwork = 127;

function textOf(address: Buffer): string {
  return address.toString("hex");
}
