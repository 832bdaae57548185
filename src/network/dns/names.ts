/** What the names of workloads stand for, as one workload sees them: pure functions of the records. */
import type { EndpointRecord, NetworkRecord, WorkloadRecord } from "../records/types.ts";

export interface Directory {
  readonly workloads: ReadonlyMap<string, WorkloadRecord>;
  readonly networks: ReadonlyMap<string, NetworkRecord>;
}

/** Names of the host itself. */
export const hostNames: ReadonlySet<string> = new Set([
  "host.docker.internal",
  "gateway.docker.internal",
  "host.containers.internal",
]);

/** The live workload that has an address on a network. */
export function workloadAt(
  directory: Directory,
  network: string,
  address: string,
): { workload: WorkloadRecord; endpoint: EndpointRecord } | undefined {
  for (const workload of directory.workloads.values()) {
    if (!workload.live) continue;
    for (const endpoint of workload.endpoints)
      if (endpoint.network === network && (endpoint.address4 === address || endpoint.address6 === address))
        return { workload, endpoint };
  }
  return undefined;
}

/**
 * The addresses of a name, for a workload that asks on a network; undefined when the name is nobody's. A name may be
 * several workloads' (a service's), and is looked for on all the networks that the asking one is on.
 */
export function lookUp(
  directory: Directory,
  asking: WorkloadRecord,
  asked: NetworkRecord,
  name: string,
): string[] | undefined {
  if (hostNames.has(name)) return asked.subnets.map(({ gateway }) => gateway);
  const networks = new Set(asking.endpoints.map(({ network }) => network));
  const targets = linkTargets(asking, name);
  const found: string[] = [];
  let known = false;
  for (const workload of directory.workloads.values()) {
    if (!workload.live) continue;
    for (const endpoint of workload.endpoints) {
      if (!networks.has(endpoint.network)) continue;
      const plain = plainName(directory, endpoint, name);
      const linked = targets.some((target) => isCalled(workload, endpoint, target));
      if (!linked && !isCalled(workload, endpoint, plain)) continue;
      known = true;
      for (const address of [endpoint.address4, endpoint.address6])
        if (address !== undefined) found.push(address);
    }
  }
  return known ? found : undefined;
}

/** The name that an address is looked up to: `web.front`, as Docker has it. */
export function reverseLookUp(
  directory: Directory,
  asking: WorkloadRecord,
  address: string,
): string | undefined {
  for (const { network } of asking.endpoints) {
    const at = workloadAt(directory, network, address);
    const record = directory.networks.get(network);
    if (at !== undefined && record !== undefined) return `${at.workload.name}.${record.name}`;
  }
  return undefined;
}

function isCalled(workload: WorkloadRecord, endpoint: EndpointRecord, name: string): boolean {
  return (
    workload.name.toLowerCase() === name ||
    workload.id === name ||
    workload.id.slice(0, 12) === name ||
    endpoint.aliases.some((alias) => alias.toLowerCase() === name)
  );
}

/** `web.front` is `web` on the network `front`. */
function plainName(directory: Directory, endpoint: EndpointRecord, name: string): string {
  const suffix = `.${directory.networks.get(endpoint.network)?.name.toLowerCase() ?? ""}`;
  return suffix.length > 1 && name.endsWith(suffix) ? name.slice(0, -suffix.length) : name;
}

/** Workloads that the asking one calls by this name: `NAME:ALIAS`. */
function linkTargets(asking: WorkloadRecord, name: string): string[] {
  return asking.endpoints
    .flatMap(({ links }) => links)
    .flatMap((link) => {
      const [target = "", alias = target] = link.replace(/^\//, "").split(":");
      return alias.toLowerCase() === name ? [target.toLowerCase()] : [];
    });
}
