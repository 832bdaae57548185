/** Networks. */
import type { Optional } from "./common.ts";
import type { EndpointSettings, PortBinding } from "./container-requests.ts";

type Texts = Readonly<Record<string, string>>;

export interface NetworkResource {
  readonly Name: string;
  readonly Id: string;
  readonly Created: string;
  readonly Scope: string;
  /** `bridge`, `host` or `null`. */
  readonly Driver: string;
  readonly EnableIPv4: boolean;
  readonly EnableIPv6: boolean;
  readonly IPAM: {
    readonly Driver: string;
    readonly Options: Texts | null;
    readonly Config: readonly NetworkSubnet[] | null;
  };
  readonly Internal: boolean;
  readonly Attachable: boolean;
  readonly Ingress: boolean;
  readonly ConfigFrom: { readonly Network: string };
  readonly ConfigOnly: boolean;
  /** By id, those that run. */
  readonly Containers: Readonly<Record<string, NetworkContainer>> | null;
  readonly Options: Texts | null;
  readonly Labels: Texts | null;
}

export interface NetworkSubnet {
  readonly Subnet?: Optional<string>;
  readonly Gateway?: Optional<string>;
  /** Part of the subnet that addresses are taken from. */
  readonly IPRange?: Optional<string>;
  /** Addresses that something else has. */
  readonly AuxiliaryAddresses?: Optional<Texts>;
}

export interface NetworkContainer {
  readonly Name: string;
  readonly EndpointID: string;
  readonly MacAddress: string;
  /** With the length of the subnet: `172.18.0.2/16`. */
  readonly IPv4Address: string;
  readonly IPv6Address: string;
}

/** POST /networks/create */
export interface NetworkCreateRequest {
  readonly Name: string;
  readonly Driver?: Optional<string>;
  readonly Internal?: Optional<boolean>;
  readonly Attachable?: Optional<boolean>;
  readonly EnableIPv6?: Optional<boolean>;
  readonly Labels?: Optional<Texts>;
  readonly Options?: Optional<Texts>;
  readonly IPAM?: Optional<{
    readonly Driver?: Optional<string>;
    readonly Options?: Optional<Texts>;
    readonly Config?: Optional<readonly NetworkSubnet[]>;
  }>;
}

export interface NetworkCreateResponse {
  readonly Id: string;
  readonly Warning: string;
}

/** POST /networks/{name}/connect */
export interface NetworkConnectRequest {
  readonly Container: string;
  readonly EndpointConfig?: Optional<EndpointSettings>;
}

/** POST /hull/v1/containers/{id}/ports */
export interface PortsChangeRequest {
  /** By the port behind the wall: `80/tcp`. */
  readonly Add?: Optional<Readonly<Record<string, Optional<readonly PortBinding[]>>>>;
  /** Without a host port, every one that leads there. */
  readonly Remove?: Optional<Readonly<Record<string, Optional<readonly PortBinding[]>>>>;
}

/** POST /hull/v1/containers/{id}/policy; what is not there stays as it is. */
export interface PolicyChangeRequest {
  /** Names, patterns, addresses and subnets; `["none"]`: nothing; `["any"]`: everything. */
  readonly Egress?: readonly string[];
  /** `10mbit`; `unlimited`. */
  readonly IngressRate?: string;
  readonly EgressRate?: string;
}

export interface NetworkPruneReport {
  readonly NetworksDeleted: readonly string[] | null;
}
