/** GET /containers/json, GET /containers/{id}/json, POST /containers/prune */
import { HullError } from "../../contract/errors.ts";
import { now } from "../../engine/clock.ts";
import type { Engine } from "../../engine/engine.ts";
import type { Workload } from "../../engine/workload.ts";
import type { Exchange } from "../exchange.ts";
import type { Route } from "../server.ts";
import { inspectOf, summaryOf, type ViewOptions } from "./container-views.ts";
import {
  type Filters,
  parseFilters,
  passes,
  passesAllLabels,
  passesLabels,
  passesPatterns,
} from "./filters.ts";
import { wallLabels } from "./labels.ts";
import { statusOf } from "./status.ts";
import { parseInstant } from "./times.ts";

const known = [
  "ancestor",
  "before",
  "exited",
  "id",
  "isolation",
  "label",
  "name",
  "network",
  "since",
  "status",
  "volume",
];

export function containerListRoutes(engine: Engine): Route[] {
  return [
    { method: "GET", path: "/containers/json", handle: (exchange) => list(engine, exchange) },
    { method: "GET", path: "/containers/:id/json", handle: (exchange) => inspect(engine, exchange) },
    { method: "POST", path: "/containers/prune", handle: (exchange) => prune(engine, exchange) },
  ];
}

async function list(engine: Engine, exchange: Exchange): Promise<void> {
  const filters = parseFilters(exchange, known);
  refuseUnknownStatus(filters);
  const limit = exchange.integer("limit") ?? 0;
  const all = exchange.flag("all") || limit > 0 || filters.has("status") || filters.has("exited");
  const matches = await matcherOf(engine, filters);
  let chosen = engine.list().filter((workload) => (all || workload.live) && matches(workload));
  chosen.reverse();
  if (limit > 0) chosen = chosen.slice(0, limit);
  const labelOf = await wallLabels(engine, chosen);
  const withSizes = exchange.flag("size");
  const rows = await Promise.all(
    chosen.map(async (workload) => {
      const sizes = withSizes ? await sizesOf(engine, workload) : undefined;
      return summaryOf(engine, workload, { label: labelOf(workload), sizes }, now());
    }),
  );
  exchange.sendJson(200, rows);
}

const statuses = ["created", "running", "paused", "restarting", "removing", "exited", "dead"];

function refuseUnknownStatus(filters: Filters): void {
  const unknown = filters.get("status")?.find((status) => !statuses.includes(status));
  if (unknown !== undefined)
    throw new HullError("invalidParameter", {
      what: "filter status",
      value: unknown,
      why: `use one of ${statuses.join(", ")}`,
    });
}

async function inspect(engine: Engine, exchange: Exchange): Promise<void> {
  const workload = engine.find(exchange.parameter("id"));
  const labelOf = await wallLabels(engine, [workload]);
  const sizes = exchange.flag("size") ? await sizesOf(engine, workload) : undefined;
  const options: ViewOptions = { label: labelOf(workload), sizes };
  exchange.sendJson(200, inspectOf(engine, workload, options));
}

async function sizesOf(engine: Engine, workload: Workload): Promise<{ writable: number; all: number }> {
  const writable = await engine.layerBytes(workload);
  const image = await engine.images.resolve(workload.record.image).catch(() => undefined);
  return { writable, all: writable + (image?.sizeBytes ?? 0) };
}

/** A predicate for the filters; what needs looking up is looked up before the first question. */
async function matcherOf(engine: Engine, filters: Filters): Promise<(workload: Workload) => boolean> {
  const ancestors = new Set<string>();
  for (const reference of filters.get("ancestor") ?? []) {
    const image = await engine.images.resolve(reference).catch(() => undefined);
    ancestors.add(image?.id ?? reference);
  }
  const createdAt = (word: string): number => engine.find(word).record.createdAt;
  const before = (filters.get("before") ?? []).map(createdAt);
  const since = (filters.get("since") ?? []).map(createdAt);
  const named = await passesPatterns(filters, "name");
  return ({ record }) =>
    passes(filters, "id", (id) => record.id.startsWith(id)) &&
    // Docker matches the name with and without its slash.
    (named(record.name) || named(`/${record.name}`)) &&
    passes(filters, "status", (status) => statusOf(record) === status) &&
    passes(filters, "exited", (code) => record.state === "exited" && String(record.life.exitCode) === code) &&
    passes(filters, "isolation", (isolation) => record.wall === isolation) &&
    passes(filters, "volume", (word) => hasMount(record, word)) &&
    passes(filters, "network", (word) => isOn(engine, record.id, word)) &&
    passes(filters, "ancestor", () => ancestors.has(record.image) || ancestors.has(record.request.image)) &&
    passesLabels(filters, "label", record.labels) &&
    before.every((instant) => record.createdAt < instant) &&
    since.every((instant) => record.createdAt > instant);
}

/** A volume's name, or where something is mounted, as Docker has it. */
function hasMount({ mounts }: Workload["record"], word: string): boolean {
  return mounts.some(({ source, target }) => source === word || target === word);
}

function isOn(engine: Engine, id: string, word: string): boolean {
  return engine.networks
    .list()
    .some(
      (network) =>
        (network.name === word || network.id.startsWith(word)) &&
        engine.networks.users(network).some((user) => user.id === id),
    );
}

async function prune(engine: Engine, exchange: Exchange): Promise<void> {
  const filters = parseFilters(exchange, ["label", "label!", "until"]);
  const limits = (filters.get("until") ?? []).map((value) =>
    Number(parseInstant("until", value) / 1_000_000n),
  );
  const deleted: string[] = [];
  let reclaimed = 0;
  for (const workload of engine.list()) {
    const { record } = workload;
    if (record.state !== "created" && record.state !== "exited" && record.state !== "dead") continue;
    if (!passesAllLabels(filters, record.labels)) continue;
    if (limits.some((limit) => record.createdAt >= limit)) continue;
    const bytes = await engine.layerBytes(workload);
    try {
      await engine.remove(workload, { force: false });
    } catch (error) {
      // One that was started meanwhile is not to be pruned.
      if (workload.live) continue;
      throw error;
    }
    deleted.push(workload.id);
    reclaimed += bytes;
  }
  exchange.sendJson(200, { ContainersDeleted: deleted, SpaceReclaimed: reclaimed });
}
