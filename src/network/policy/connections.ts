/** Connections that a workload began under another list of what it may reach: the kernel forgets them, so they are judged anew. */
import { messageOf } from "../../contract/errors.ts";
import { ConnectionTracking } from "../../host/network/connection-tracking.ts";
import { bytesOfText } from "../addresses/address.ts";
import type { NetworkContext } from "../networks/context.ts";
import type { WorkloadRecord } from "../records/types.ts";

/** TCP, UDP and SCTP, by their numbers in IP's header: nothing else lasts. */
const protocols = [6, 17, 132] as const;

export function forgetConnections({ log }: NetworkContext, { id, endpoints }: WorkloadRecord): void {
  const own = endpoints
    .flatMap(({ address4, address6 }) => [address4, address6])
    .flatMap((address) => (address === undefined ? [] : [bytesOfText(address, "address")]));
  try {
    using tracking = new ConnectionTracking();
    for (const protocol of protocols)
      for (const family of [4, 6] as const)
        tracking.forget(
          tracking
            .flows(family, protocol)
            .filter(({ original }) => own.some((address) => address.equals(original.source))),
        );
  } catch (error) {
    log.warn("connections that a workload began before its list was changed may go on", {
      id,
      why: messageOf(error),
    });
  }
}
