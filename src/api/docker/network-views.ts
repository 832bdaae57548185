/** Networks, and workloads' connections, as Docker's clients want to see them. */
import type {
  EndpointSettings,
  HostConfigRequest,
  NetworkResource,
  NetworkSettings,
  PortSummary,
} from "../../contract/docker.ts";
import type { Engine } from "../../engine/engine.ts";
import type { Workload } from "../../engine/workload.ts";
import type {
  EndpointRecord,
  NetworkRecord,
  PortRequest,
  WorkloadRecord,
} from "../../network/records/types.ts";
import { policyAnnotations } from "./policy-request.ts";

export function networkOf(network: NetworkRecord, users: readonly WorkloadRecord[]): NetworkResource {
  return {
    Name: network.name,
    Id: network.id,
    Created: new Date(network.createdAt).toISOString(),
    Scope: "local",
    Driver: network.driver,
    EnableIPv4: network.driver === "bridge",
    EnableIPv6: network.ipv6,
    IPAM: {
      Driver: "default",
      Options: Object.keys(network.ipamOptions).length === 0 ? null : network.ipamOptions,
      Config: network.subnets.map(({ subnet, gateway, range, auxiliary }) => ({
        Subnet: subnet,
        Gateway: gateway,
        ...(range === undefined ? {} : { IPRange: range }),
        ...(Object.keys(auxiliary).length === 0 ? {} : { AuxiliaryAddresses: auxiliary }),
      })),
    },
    Internal: network.internal,
    Attachable: network.attachable,
    Ingress: false,
    ConfigFrom: { Network: "" },
    ConfigOnly: false,
    Containers: Object.fromEntries(
      users.filter(({ live }) => live).map((workload) => [workload.id, userOf(workload, network)]),
    ),
    Options: network.options,
    Labels: network.labels,
  };
}

function userOf(workload: WorkloadRecord, network: NetworkRecord) {
  const endpoint = workload.endpoints.find((one) => one.network === network.id);
  return {
    Name: workload.name,
    EndpointID: endpoint?.id ?? "",
    MacAddress: endpoint?.hardware ?? "",
    IPv4Address: withLength(network, endpoint?.address4),
    IPv6Address: withLength(network, endpoint?.address6),
  };
}

function withLength(network: NetworkRecord, address: string | undefined): string {
  return address === undefined ? "" : `${address}/${lengthOf(network, address)}`;
}

function lengthOf(network: NetworkRecord, address: string): number {
  return Number(subnetOf(network, address)?.subnet.split("/")[1] ?? "0");
}

/** Networks have one subnet of each family, or several that Docker would show the first of, too. */
function subnetOf(network: NetworkRecord, address: string) {
  return network.subnets.find(({ subnet }) => subnet.includes(":") === address.includes(":"));
}

const noEndpoint = {
  EndpointID: "",
  Gateway: "",
  GlobalIPv6Address: "",
  GlobalIPv6PrefixLen: 0,
  IPAddress: "",
  IPPrefixLen: 0,
  IPv6Gateway: "",
  MacAddress: "",
};

export function endpointsOf(engine: Engine, workload: Workload): Record<string, EndpointSettings> {
  const record = engine.networks.of(workload);
  if (record === undefined) return {};
  const networks = new Map(engine.networks.list().map((network) => [network.id, network]));
  if (record.endpoints.length === 0) {
    const { mode } = record.request;
    const alone = mode === "host" || mode === "none" ? mode : undefined;
    const network = engine.networks.list().find(({ name }) => name === alone);
    if (network === undefined) return {};
    return { [network.name]: { ...blank, NetworkID: network.id, ...noEndpoint } };
  }
  return Object.fromEntries(
    record.endpoints.flatMap((endpoint) => {
      const network = networks.get(endpoint.network);
      return network === undefined ? [] : [[network.name, endpointOf(record, endpoint, network)]];
    }),
  );
}

const blank = {
  IPAMConfig: null,
  Links: null,
  Aliases: null,
  DriverOpts: null,
  NetworkID: "",
  DNSNames: null,
};

function endpointOf(
  record: WorkloadRecord,
  endpoint: EndpointRecord,
  network: NetworkRecord,
): EndpointSettings {
  const ipam = {
    ...(endpoint.ipv4 === undefined ? {} : { IPv4Address: endpoint.ipv4 }),
    ...(endpoint.ipv6 === undefined ? {} : { IPv6Address: endpoint.ipv6 }),
  };
  const { address4, address6 } = record.live ? endpoint : {};
  const gateway = (address: string | undefined): string =>
    address === undefined ? "" : (subnetOf(network, address)?.gateway ?? "");
  return {
    IPAMConfig: Object.keys(ipam).length === 0 ? null : ipam,
    Links: endpoint.links.length === 0 ? null : endpoint.links,
    Aliases: endpoint.aliases.length === 0 ? null : endpoint.aliases,
    DriverOpts: null,
    GwPriority: endpoint.gatewayPriority,
    NetworkID: network.id,
    EndpointID: record.live ? endpoint.id : "",
    Gateway: gateway(address4),
    IPAddress: address4 ?? "",
    IPPrefixLen: address4 === undefined ? 0 : lengthOf(network, address4),
    IPv6Gateway: gateway(address6),
    GlobalIPv6Address: address6 ?? "",
    GlobalIPv6PrefixLen: address6 === undefined ? 0 : lengthOf(network, address6),
    MacAddress: record.live ? (endpoint.hardware ?? "") : (endpoint.mac ?? ""),
    DNSNames: [...new Set([record.name, ...endpoint.aliases, record.id.slice(0, 12)])],
  };
}

export function networkSettingsOf(engine: Engine, workload: Workload): NetworkSettings {
  const record = engine.networks.of(workload);
  const endpoints = endpointsOf(engine, workload);
  return {
    Bridge: "",
    SandboxID: record?.live === true ? record.id : "",
    SandboxKey: "",
    Ports: portsOf(record),
    ...firstOf(endpoints.bridge),
    Networks: endpoints,
  };
}

/** The default network's endpoint once more, where clients of old look for it. */
function firstOf(endpoint: EndpointSettings | undefined): typeof noEndpoint {
  return {
    EndpointID: endpoint?.EndpointID ?? "",
    Gateway: endpoint?.Gateway ?? "",
    GlobalIPv6Address: endpoint?.GlobalIPv6Address ?? "",
    GlobalIPv6PrefixLen: endpoint?.GlobalIPv6PrefixLen ?? 0,
    IPAddress: endpoint?.IPAddress ?? "",
    IPPrefixLen: endpoint?.IPPrefixLen ?? 0,
    IPv6Gateway: endpoint?.IPv6Gateway ?? "",
    MacAddress: endpoint?.MacAddress ?? "",
  };
}

/** What is exposed and not published is there, too, with null. */
function portsOf(record: WorkloadRecord | undefined): NetworkSettings["Ports"] {
  const ports: Record<string, { HostIp: string; HostPort: string }[] | null> = {};
  if (record === undefined || !record.live) return ports;
  for (const port of record.exposed) ports[port] = null;
  for (const { port, protocol, hostAddress, hostPort } of record.bound) {
    const key = `${port}/${protocol}`;
    ports[key] = [...(ports[key] ?? []), { HostIp: hostAddress, HostPort: String(hostPort) }];
  }
  return ports;
}

export function portSummariesOf(record: WorkloadRecord | undefined): PortSummary[] {
  if (record === undefined || !record.live) return [];
  const published = new Set(record.bound.map(({ port, protocol }) => `${port}/${protocol}`));
  const exposed = record.exposed.filter((port) => !published.has(port));
  return [
    ...record.bound.map(({ hostAddress, hostPort, port, protocol }) => ({
      IP: hostAddress,
      PrivatePort: port,
      PublicPort: hostPort,
      Type: protocol,
    })),
    ...exposed.map((port) => ({
      PrivatePort: Number(port.split("/")[0]),
      Type: port.split("/")[1] ?? "tcp",
    })),
  ];
}

type HostNetworkMember =
  | "Annotations"
  | "PortBindings"
  | "PublishAllPorts"
  | "Dns"
  | "DnsOptions"
  | "DnsSearch"
  | "ExtraHosts"
  | "Links";

/** HostConfig's network members, as they were asked for. */
export function hostNetworkOf(
  workload: Workload,
  record: WorkloadRecord | undefined,
): Pick<HostConfigRequest, HostNetworkMember> {
  const request = record?.request ?? workload.record.request.network;
  const { links } = workload.record.request;
  const annotations = policyAnnotations(request);
  return {
    Annotations: Object.keys(annotations).length === 0 ? null : annotations,
    PortBindings: bindingsOf(request.ports),
    PublishAllPorts: request.publishAll,
    Dns: request.dns,
    DnsOptions: request.dnsOptions,
    DnsSearch: request.dnsSearch,
    ExtraHosts: request.extraHosts.length === 0 ? null : request.extraHosts,
    Links: links.length === 0 ? null : links,
  };
}

function bindingsOf(ports: readonly PortRequest[]): Record<string, { HostIp: string; HostPort: string }[]> {
  const bindings: Record<string, { HostIp: string; HostPort: string }[]> = {};
  for (const { port, protocol, hostAddress, hostFirst, hostLast } of ports) {
    const key = `${port}/${protocol}`;
    const range = hostFirst === hostLast ? String(hostFirst) : `${hostFirst}-${hostLast}`;
    const HostPort = hostFirst === 0 ? "" : range;
    bindings[key] = [...(bindings[key] ?? []), { HostIp: hostAddress, HostPort }];
  }
  return bindings;
}
