/** GET /containers/json, GET /containers/{id}/json, POST /containers/prune */
import { now } from "../../engine/clock.ts";
import type { Engine } from "../../engine/engine.ts";
import type { Workload } from "../../engine/workload.ts";
import type { Exchange } from "../exchange.ts";
import type { Route } from "../server.ts";
import { containerFilters, matcherOf } from "./container-filters.ts";
import { inspectOf, summaryOf, type ViewOptions } from "./container-views.ts";
import { parseFilters, passesAllLabels } from "./filters.ts";
import { wallLabels } from "./labels.ts";
import { parseInstant } from "./times.ts";

export function containerListRoutes(engine: Engine): Route[] {
  return [
    { method: "GET", path: "/containers/json", handle: (exchange) => list(engine, exchange) },
    { method: "GET", path: "/containers/:id/json", handle: (exchange) => inspect(engine, exchange) },
    { method: "POST", path: "/containers/prune", handle: (exchange) => prune(engine, exchange) },
  ];
}

async function list(engine: Engine, exchange: Exchange): Promise<void> {
  const filters = parseFilters(exchange, containerFilters);
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
