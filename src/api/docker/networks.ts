/** /networks: list, inspect, create, connect, disconnect, remove, prune. */
import * as v from "valibot";
import { dictionary } from "../../contract/dictionary.ts";
import type { NetworkCreateResponse, NetworkPruneReport } from "../../contract/docker.ts";
import { HullError, isHullError } from "../../contract/errors.ts";
import type { Engine } from "../../engine/engine.ts";
import { isPredefined } from "../../network/networks/networks.ts";
import type { NetworkRecord } from "../../network/records/types.ts";
import type { Exchange } from "../exchange.ts";
import type { Route } from "../server.ts";
import {
  booleanFilter,
  type Filters,
  parseFilters,
  passes,
  passesAllLabels,
  passesLabels,
  passesPatterns,
} from "./filters.ts";
import { translateEndpoint } from "./network-request.ts";
import { networkOf } from "./network-views.ts";
import { parseInstant } from "./times.ts";

const text = v.nullish(v.string(), "");
const flag = v.nullish(v.boolean(), false);
const members = v.nullish(dictionary(v.string()), {});

const createBody = v.looseObject({
  Name: text,
  Driver: text,
  Internal: flag,
  Attachable: flag,
  Ingress: flag,
  ConfigOnly: flag,
  ConfigFrom: v.nullish(v.looseObject({ Network: text })),
  Scope: text,
  EnableIPv4: v.nullish(v.boolean(), true),
  EnableIPv6: flag,
  Labels: members,
  Options: members,
  IPAM: v.nullish(
    v.looseObject({
      Driver: text,
      Options: members,
      Config: v.nullish(
        v.array(v.looseObject({ Subnet: text, Gateway: text, IPRange: text, AuxiliaryAddresses: members })),
        [],
      ),
    }),
  ),
});

const connectBody = v.looseObject({
  Container: text,
  EndpointConfig: v.nullish(dictionary(v.unknown())),
});
const disconnectBody = v.looseObject({ Container: text, Force: flag });

export function networkRoutes(engine: Engine): Route[] {
  const { networks } = engine;
  const view = (network: NetworkRecord) => networkOf(network, networks.users(network));
  const named = (exchange: Exchange): NetworkRecord => networks.find(exchange.parameter("name"));
  return [
    {
      method: "GET",
      path: "/networks",
      handle: async (exchange) => exchange.sendJson(200, (await filtered(engine, exchange)).map(view)),
    },
    {
      method: "GET",
      path: "/networks/:name",
      handle: (exchange) => exchange.sendJson(200, view(named(exchange))),
    },
    { method: "POST", path: "/networks/create", handle: (exchange) => create(engine, exchange) },
    { method: "POST", path: "/networks/prune", handle: (exchange) => prune(engine, exchange) },
    {
      method: "POST",
      path: "/networks/:name/connect",
      async handle(exchange) {
        const body = await exchange.json(connectBody);
        await networks.connect(
          named(exchange),
          engine.find(body.Container),
          translateEndpoint(body.EndpointConfig),
        );
        exchange.sendEmpty(200);
      },
    },
    {
      method: "POST",
      path: "/networks/:name/disconnect",
      async handle(exchange) {
        const body = await exchange.json(disconnectBody);
        await networks.disconnect(named(exchange), engine.find(body.Container), body.Force);
        exchange.sendEmpty(200);
      },
    },
    {
      method: "DELETE",
      path: "/networks/:name",
      async handle(exchange) {
        await networks.remove(named(exchange));
        exchange.sendEmpty(204);
      },
    },
  ];
}

async function create(engine: Engine, exchange: Exchange): Promise<void> {
  const body = await exchange.json(createBody);
  refuse(body);
  const network = engine.networks.create({
    name: body.Name,
    driver: body.Driver,
    internal: body.Internal,
    attachable: body.Attachable,
    ipv6: body.EnableIPv6,
    labels: body.Labels,
    options: body.Options,
    ipamDriver: body.IPAM?.Driver ?? "",
    ipamOptions: body.IPAM?.Options ?? {},
    subnets: (body.IPAM?.Config ?? []).map(({ Subnet, Gateway, IPRange, AuxiliaryAddresses }) => ({
      subnet: Subnet,
      gateway: Gateway,
      range: IPRange,
      auxiliary: AuxiliaryAddresses,
    })),
  });
  const why = await engine.networks.unavailable();
  const warning = why === undefined ? "" : `workloads cannot be connected to it on this host: ${why}`;
  exchange.sendJson(201, { Id: network.id, Warning: warning } satisfies NetworkCreateResponse);
}

function refuse(body: v.InferOutput<typeof createBody>): void {
  const asked = [
    ["Ingress", body.Ingress],
    ["ConfigOnly", body.ConfigOnly],
    ["ConfigFrom", (body.ConfigFrom?.Network ?? "") !== ""],
    ["EnableIPv4=false", !body.EnableIPv4],
    ["Scope", !["", "local"].includes(body.Scope)],
  ] as const;
  for (const [what, isAsked] of asked)
    if (isAsked)
      throw new HullError("unsupported", {
        what: `the network option ${what}`,
        where: "",
        why: "networks are of one host, and have IPv4",
      });
}

async function filtered(engine: Engine, exchange: Exchange): Promise<NetworkRecord[]> {
  const filters = parseFilters(exchange, ["dangling", "driver", "id", "label", "name", "scope", "type"]);
  const named = await passesPatterns(filters, "name");
  const dangling = booleanFilter(filters, "dangling");
  const isUnused = (network: NetworkRecord): boolean =>
    !isPredefined(network) && engine.networks.users(network).length === 0;
  return engine.networks
    .list()
    .filter(
      (network) =>
        named(network.name) &&
        passesAll(network, filters) &&
        (dangling === undefined || dangling === isUnused(network)),
    );
}

function passesAll(network: NetworkRecord, filters: Filters): boolean {
  return (
    passes(filters, "driver", (value) => network.driver === value) &&
    passes(filters, "id", (value) => network.id.startsWith(value)) &&
    passes(filters, "scope", (value) => value === "local") &&
    passes(filters, "type", (value) => (value === "builtin") === isPredefined(network)) &&
    passesLabels(filters, "label", network.labels)
  );
}

/** Networks that no workload is on, running or not. */
async function prune(engine: Engine, exchange: Exchange): Promise<void> {
  const filters = parseFilters(exchange, ["label", "label!", "until"]);
  const [until] = filters.get("until") ?? [];
  const before =
    until === undefined ? Number.POSITIVE_INFINITY : Number(parseInstant("until", until) / 1_000_000n);
  const removed: string[] = [];
  for (const network of engine.networks.list()) {
    if (isPredefined(network) || engine.networks.users(network).length > 0) continue;
    if (network.createdAt >= before || !passesAllLabels(filters, network.labels)) continue;
    try {
      await engine.networks.remove(network);
      removed.push(network.name);
    } catch (error) {
      // Somebody else has removed it meanwhile.
      if (!isHullError(error, "noSuchNetwork")) throw error;
    }
  }
  exchange.sendJson(200, { NetworksDeleted: removed } satisfies NetworkPruneReport);
}
