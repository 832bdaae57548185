/** What is recorded of networks and of workloads on them. Plain data; addresses and subnets are text as people write them. */
import type { WallKind } from "../../contract/isolation.ts";

export type Driver = "bridge" | "host" | "null";

export interface NetworkRecord {
  /** 64 lower-case hexadecimal digits. */
  readonly id: string;
  readonly name: string;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  readonly driver: Driver;
  readonly subnets: readonly SubnetRecord[];
  readonly ipv6: boolean;
  /** Nothing but the other workloads of the network can be reached. */
  readonly internal: boolean;
  readonly attachable: boolean;
  readonly labels: Readonly<Record<string, string>>;
  /** Docker's `com.docker.network.*`, as they were given. */
  readonly options: Readonly<Record<string, string>>;
  readonly ipamOptions: Readonly<Record<string, string>>;
  /** Hull chose the subnets, and may choose others while nobody uses them. */
  readonly automatic: boolean;
  /** Name of the bridge's interface. */
  readonly bridge: string;
}

export interface SubnetRecord {
  readonly subnet: string;
  readonly gateway: string;
  /** Part of the subnet that addresses are taken from; all of it when undefined. */
  readonly range?: string | undefined;
  /** Addresses that something else has, by name. */
  readonly auxiliary: Readonly<Record<string, string>>;
}

export interface EndpointRequest {
  readonly aliases: readonly string[];
  /** `NAME` or `NAME:ALIAS`: what this workload alone calls others. */
  readonly links: readonly string[];
  readonly ipv4?: string | undefined;
  readonly ipv6?: string | undefined;
  readonly mac?: string | undefined;
  readonly options: Readonly<Record<string, string>>;
  /** The endpoint with the highest one is the way out. */
  readonly gatewayPriority: number;
}

export interface EndpointRecord extends EndpointRequest {
  readonly id: string;
  readonly network: string;
  /** What it has now, or had when it was last up, which it gets again if nobody else took it. */
  readonly address4?: string | undefined;
  readonly address6?: string | undefined;
  readonly hardware?: string | undefined;
  /** Interface behind the wall: `eth0`. */
  readonly interface: string;
  /** The host's end of the pair. */
  readonly hostLink: string;
}

export type Protocol = "tcp" | "udp" | "sctp";

export interface PortRequest {
  readonly protocol: Protocol;
  /** Behind the wall. */
  readonly port: number;
  /** Empty: every address of the host. */
  readonly hostAddress: string;
  /** First and last port of the host to choose from; 0: any that is free. */
  readonly hostFirst: number;
  readonly hostLast: number;
}

/** A port of the host that leads to a workload. */
export interface BoundPort {
  readonly protocol: Protocol;
  readonly port: number;
  /** `0.0.0.0`, `::`, or one address. */
  readonly hostAddress: string;
  readonly hostPort: number;
}

/** How a workload is connected: a word of Docker's `NetworkMode`. */
export interface NetworkRequest {
  /** `default`, `bridge`, `none`, `host`, `container:NAME`, or a network's name. */
  readonly mode: string;
  /** By network's name or id, besides what `mode` says. */
  readonly endpoints: Readonly<Record<string, EndpointRequest>>;
  readonly ports: readonly PortRequest[];
  readonly publishAll: boolean;
  readonly dns: readonly string[];
  readonly dnsSearch: readonly string[];
  readonly dnsOptions: readonly string[];
  /** `NAME:ADDRESS`. */
  readonly extraHosts: readonly string[];
  readonly domainname: string;
  /** What it may reach beyond its networks; empty: nothing; undefined: everything. */
  readonly egress?: readonly string[] | undefined;
  /** Bits in a second that it is sent, over all of its networks; undefined: as many as there are. */
  readonly ingressRate?: number | undefined;
  /** The same of what it sends. */
  readonly egressRate?: number | undefined;
}

export interface WorkloadRecord {
  readonly id: string;
  readonly name: string;
  readonly wall: WallKind;
  readonly hostname: string;
  readonly request: NetworkRequest;
  /** `PORT/PROTOCOL` that the image or the request names. */
  readonly exposed: readonly string[];
  readonly endpoints: readonly EndpointRecord[];
  readonly bound: readonly BoundPort[];
  /** Part of the names of the queues that keep its rates, since its last start. */
  readonly queue?: string | undefined;
  /** Something of it may exist in the kernel. */
  readonly live: boolean;
}
