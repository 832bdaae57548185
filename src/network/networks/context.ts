/** What the parts of the network room share. */
import type { Logger } from "../../contract/logger.ts";
import type { NetlinkSocket } from "../../host/network/netlink.ts";
import type { Pool } from "../addresses/ipam.ts";
import type { Resolvers } from "../dns/resolvers.ts";
import type { Egress } from "../egress/egress.ts";
import type { Firewall } from "../firewall/firewall.ts";
import type { Forwarding } from "../firewall/forwarding.ts";
import type { Bridges } from "../links/bridges.ts";
import type { HeldPorts } from "../ports/ports.ts";
import type { NetworkRecords } from "../records/records.ts";

export interface NetworkContext {
  readonly records: NetworkRecords;
  readonly socket: NetlinkSocket;
  readonly bridges: Bridges;
  readonly firewall: Firewall;
  readonly egress: Egress;
  readonly forwarding: Forwarding;
  readonly resolvers: Resolvers;
  /** Networks that are coming up; each is up once its promise has resolved. */
  readonly raising: Map<string, Promise<void>>;
  /** By workload. */
  readonly ports: Map<string, HeldPorts>;
  readonly pools: readonly Pool[];
  readonly pool6: Pool;
  /** Marks this daemon's interfaces, and is its table's name. */
  readonly tag: string;
  readonly log: Logger;
  /** The process that is in a running workload's namespace. */
  readonly processOf: (workload: string) => number | undefined;
}
