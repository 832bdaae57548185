/**
 * How large the pieces are that the host's TCP hands to a network: the kernel parts them at the latest where an interface takes
 * no larger ones (linux/if_link.h: IFLA_GSO_IPV4_MAX_SIZE, "BIG TCP"). What workloads send stays as it is: it may leave by a card
 * that takes the usual pieces only, and parting larger ones then costs more than they saved.
 */
import { findLink, setLink } from "../../host/network/links.ts";
import type { Message } from "../../host/network/netlink.ts";
import type { NetworkContext } from "../networks/context.ts";
import type { WorkloadRecord } from "../records/types.ts";
import { queuesOf } from "./shaping.ts";

/** Bytes; what every interface takes, and a machine's virtual card at most. */
const usualSegment = 65_536;
/** A byte costs the host a quarter less in pieces of this size, and hardly less in larger ones. */
const largeSegment = 262_144;

/** After a change of the workload's cables, or of the bridges that they are plugged into. */
export function sizeSegments(context: NetworkContext, record: WorkloadRecord): void {
  const { socket } = context;
  // What is too large for a queue would be parted into single packets there.
  const own = [...record.endpoints.map(({ hostLink }) => hostLink), ...Object.values(queuesOf(record))];
  const cables = record.wall === "vm" || !record.live ? [] : own;
  socket.request([
    ...cables.flatMap((name) => segmentsOf(findLink(socket, name)?.index, largeSegment)),
    ...record.endpoints.flatMap(({ network }) => segmentsOfBridge(context, network)),
  ]);
}

/** The usual ones where a machine is: pieces for it would be parted into single packets. */
function segmentsOfBridge({ records, bridges }: NetworkContext, id: string): Message[] {
  const machine = [...records.workloads.values()].some(
    ({ live, wall, endpoints }) => live && wall === "vm" && endpoints.some((end) => end.network === id),
  );
  return segmentsOf(bridges.bridgeOf(id)?.index, machine ? usualSegment : largeSegment);
}

/** An interface of somebody else's among a bridge's ports may take no large ones. */
function segmentsOf(index: number | undefined, largestSegment4: number): Message[] {
  if (index === undefined) return [];
  return [{ ...setLink(index, { largestSegment4 }), tolerate: ["EINVAL", "EOPNOTSUPP", "ENODEV"] }];
}
