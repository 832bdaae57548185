/** Making, finding and removing networks, as clients ask for it. */
import { createHash, randomBytes } from "node:crypto";
import { HullError } from "../../contract/errors.ts";
import { overlap, requireSubnet } from "../addresses/address.ts";
import { planSubnets } from "../addresses/ipam.ts";
import { checkOptions, option } from "../links/options.ts";
import type { NetworkRecord, SubnetRecord, WorkloadRecord } from "../records/types.ts";
import type { NetworkContext } from "./context.ts";
import { chooseSubnets, lowerIdleNetworks, lowerNetwork } from "./raise.ts";

export interface CreateNetworkRequest {
  readonly name: string;
  readonly driver: string;
  readonly internal: boolean;
  readonly attachable: boolean;
  readonly ipv6: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, string>>;
  readonly ipamDriver: string;
  readonly ipamOptions: Readonly<Record<string, string>>;
  readonly subnets: readonly {
    readonly subnet: string;
    readonly gateway: string;
    readonly range: string;
    readonly auxiliary: Readonly<Record<string, string>>;
  }[];
}

/** What every daemon has from the start. */
const predefined = ["bridge", "host", "none"] as const;

export function isPredefined({ name }: NetworkRecord): boolean {
  return predefined.some((known) => known === name);
}

export function createNetwork(context: NetworkContext, request: CreateNetworkRequest): NetworkRecord {
  const name = checkName(request.name);
  const { networks } = context.records;
  const all = [...networks.values()];
  if (all.some((network) => network.name === name)) throw new HullError("networkExists", { name });
  checkDrivers(request);
  const id = randomBytes(32).toString("hex");
  const bridge = request.options["com.docker.network.bridge.name"] ?? bridgeName(id);
  const holder = all.find((network) => network.bridge === bridge);
  if (holder !== undefined)
    throw new HullError("conflict", {
      what: `the bridge name ${bridge} is network ${holder.name}'s: choose another`,
    });
  const given = planSubnets(request.subnets.filter(({ subnet }) => subnet !== ""));
  const ipv6 = request.ipv6 || given.some(({ subnet }) => subnet.includes(":"));
  checkOptions(request.options, ipv6);
  const subnets = completed(context, given, ipv6, all);
  refuseOverlaps(subnets, all);
  const record: NetworkRecord = {
    id,
    name,
    createdAt: Date.now(),
    driver: "bridge",
    subnets,
    ipv6,
    internal: request.internal,
    attachable: request.attachable,
    labels: request.labels,
    options: request.options,
    ipamOptions: request.ipamOptions,
    automatic: given.length === 0,
    bridge,
  };
  if (given.length > 0 && context.bridges.collision(record) !== undefined)
    throw new HullError("conflict", {
      what: `the subnet ${given.map(({ subnet }) => subnet).join(", ")} overlaps with a route of the host: choose another`,
    });
  context.records.putNetwork(record);
  return record;
}

/** Every network has IPv4; IPv6 when it is asked for. What was not given is chosen. */
function completed(
  context: NetworkContext,
  given: readonly SubnetRecord[],
  ipv6: boolean,
  all: readonly NetworkRecord[],
): SubnetRecord[] {
  const has = (six: boolean): boolean => given.some(({ subnet }) => subnet.includes(":") === six);
  if (has(false) && (!ipv6 || has(true))) return [...given];
  const chosen = chooseSubnets(context, ipv6, all);
  return [
    ...(has(false) ? [] : chosen.filter(({ subnet }) => !subnet.includes(":"))),
    ...given,
    ...(!ipv6 || has(true) ? [] : chosen.filter(({ subnet }) => subnet.includes(":"))),
  ];
}

function refuseOverlaps(subnets: readonly SubnetRecord[], all: readonly NetworkRecord[]): void {
  const parsed = subnets.map(({ subnet }) => requireSubnet(subnet, "subnet"));
  for (const [index, one] of parsed.entries())
    if (parsed.slice(index + 1).some((other) => overlap(one, other)))
      throw new HullError("invalidParameter", {
        what: "subnet",
        value: subnets[index]?.subnet ?? "",
        why: "it overlaps with another one of the same network",
      });
  for (const network of all)
    for (const { subnet } of network.subnets)
      if (parsed.some((one) => overlap(one, requireSubnet(subnet, "subnet"))))
        throw new HullError("conflict", {
          what: `Pool overlaps with other one on this address space: network ${network.name} has ${subnet}`,
        });
}

export async function removeNetwork(context: NetworkContext, network: NetworkRecord): Promise<void> {
  if (!context.records.networks.has(network.id)) throw new HullError("noSuchNetwork", { name: network.name });
  if (isPredefined(network)) throw new HullError("networkFixed", { name: network.name, what: "removed" });
  const users = usersOf(context, network.id);
  const live = users.filter((workload) => workload.live);
  if (live.length > 0)
    throw new HullError("networkInUse", {
      name: network.name,
      users: live.map(({ name }) => name).join(", "),
    });
  lowerNetwork(context, network);
  context.records.deleteNetwork(network.id);
  await lowerIdleNetworks(context);
  if (context.firewall.stands) await context.firewall.establish();
}

export function usersOf(context: Pick<NetworkContext, "records">, network: string): WorkloadRecord[] {
  return [...context.records.workloads.values()].filter(({ endpoints }) =>
    endpoints.some((endpoint) => endpoint.network === network),
  );
}

/** Makes the records of the networks that are always there. */
export function ensurePredefined(context: NetworkContext, defaultBridge: string): void {
  const { records } = context;
  const named = new Map([...records.networks.values()].map((network) => [network.name, network]));
  const blank = {
    createdAt: Date.now(),
    subnets: [],
    ipv6: false,
    internal: false,
    attachable: false,
    labels: {},
    options: {},
    ipamOptions: {},
    automatic: false,
    bridge: "",
  };
  const put = (name: string, rest: Partial<NetworkRecord>): void => {
    if (named.has(name)) return;
    const id = createHash("sha256").update(`${context.tag} ${name}`).digest("hex");
    records.putNetwork({ ...blank, id, name, driver: "null", ...rest });
  };
  put("none", {});
  put("host", { driver: "host" });
  put("bridge", {
    driver: "bridge",
    automatic: true,
    bridge: defaultBridge,
    subnets: chooseSubnets(context, false, records.networks.values()),
    options: {
      "com.docker.network.bridge.default_bridge": "true",
      "com.docker.network.bridge.name": defaultBridge,
    },
  });
}

function bridgeName(id: string): string {
  return `hull-${id.slice(0, 10)}`;
}

function checkName(name: string): string {
  if (!/^[a-zA-Z0-9][\w.-]*$/.test(name) || name.length > 255 || name === "default" || name === "container")
    throw new HullError("invalidParameter", {
      what: "network name",
      value: name,
      why: "a name has up to 255 of the characters [a-zA-Z0-9_.-], begins with a letter or digit, and is no word with a meaning of its own",
    });
  return name;
}

function checkDrivers(request: CreateNetworkRequest): void {
  if (request.driver !== "bridge" && request.driver !== "")
    throw new HullError("unsupported", {
      what: `the network driver ${request.driver}`,
      where: "",
      why: "there is one, bridge; networks of several hosts are an orchestrator's",
    });
  if (!["", "default"].includes(request.ipamDriver))
    throw new HullError("unsupported", {
      what: `the IPAM driver ${request.ipamDriver}`,
      where: "",
      why: "addresses are given by Hull itself",
    });
}

/** The host's address that published ports are bound to when none is named; empty: every one. */
export function defaultHostAddress(network: NetworkRecord): string {
  const address = option(network, "com.docker.network.bridge.host_binding_ipv4") ?? "";
  return address === "0.0.0.0" ? "" : address;
}
