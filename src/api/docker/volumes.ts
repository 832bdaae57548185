/** /volumes: what outlives workloads. */
import * as v from "valibot";
import { dictionary } from "../../contract/dictionary.ts";
import type { VolumePruneResponse, VolumeView, VolumeWithUsage } from "../../contract/docker.ts";
import { rfc3339 } from "../../engine/clock.ts";
import type { Engine } from "../../engine/engine.ts";
import type { Volume } from "../../volume/volume.ts";
import type { Exchange } from "../exchange.ts";
import type { Route } from "../server.ts";
import {
  booleanFilter,
  parseFilters,
  passes,
  passesAllLabels,
  passesLabels,
  passesPatterns,
} from "./filters.ts";
import { refuseOthers } from "./options.ts";

const texts = v.nullish(dictionary(v.string()), {});
const createBody = v.looseObject({
  Name: v.nullish(v.string(), ""),
  Driver: v.nullish(v.string(), ""),
  DriverOpts: texts,
  Labels: texts,
});
const createMembers = Object.keys(createBody.entries);

export function volumeRoutes(engine: Engine): Route[] {
  return [
    { method: "GET", path: "/volumes", handle: (exchange) => list(engine, exchange) },
    { method: "POST", path: "/volumes/create", handle: (exchange) => create(engine, exchange) },
    { method: "POST", path: "/volumes/prune", handle: (exchange) => prune(engine, exchange) },
    {
      method: "GET",
      path: "/volumes/:name",
      handle: (exchange) =>
        exchange.sendJson(200, volumeView(engine.volumes.get(exchange.parameter("name")))),
    },
    {
      method: "DELETE",
      path: "/volumes/:name",
      async handle(exchange) {
        await engine.volumes.remove(exchange.parameter("name"), { force: exchange.flag("force") });
        exchange.sendEmpty(204);
      },
    },
  ];
}

export function volumeView(volume: Volume): VolumeView {
  return {
    CreatedAt: rfc3339(volume.createdAt),
    Driver: "local",
    Labels: Object.keys(volume.labels).length === 0 ? null : volume.labels,
    Mountpoint: volume.mountpoint,
    Name: volume.name,
    Options: Object.keys(volume.options).length === 0 ? null : volume.options,
    Scope: "local",
  };
}

export async function volumeWithUsage(engine: Engine, volume: Volume): Promise<VolumeWithUsage> {
  const UsageData = {
    Size: await engine.volumes.bytes(volume.name),
    RefCount: engine.volumes.usersOf(volume.name).length,
  };
  return { ...volumeView(volume), UsageData };
}

async function list(engine: Engine, exchange: Exchange): Promise<void> {
  const filters = parseFilters(exchange, ["dangling", "driver", "label", "name"]);
  const named = await passesPatterns(filters, "name");
  const dangling = booleanFilter(filters, "dangling");
  const volumes = engine.volumes.list().filter((volume) => {
    const unused = engine.volumes.usersOf(volume.name).length === 0;
    return (
      (dangling === undefined || dangling === unused) &&
      passes(filters, "driver", (value) => value === "local") &&
      named(volume.name) &&
      passesLabels(filters, "label", volume.labels)
    );
  });
  exchange.sendJson(200, { Volumes: volumes.map(volumeView), Warnings: null });
}

async function create(engine: Engine, exchange: Exchange): Promise<void> {
  const body = await exchange.json(createBody);
  refuseOthers(body, createMembers, "");
  const { Name, Driver, DriverOpts, Labels } = body;
  const volume = engine.volumes.create({
    name: Name,
    anonymous: Name === "",
    driver: Driver,
    options: DriverOpts,
    labels: Labels,
  });
  exchange.sendJson(201, volumeView(volume));
}

/** Anonymous ones only, unless all are asked for: as Docker since API 1.42. */
async function prune(engine: Engine, exchange: Exchange): Promise<void> {
  const filters = parseFilters(exchange, ["all", "label", "label!"]);
  const all = booleanFilter(filters, "all") ?? false;
  const removed = await engine.volumes.prune(
    ({ anonymous, labels }) => (all || anonymous) && passesAllLabels(filters, labels),
  );
  exchange.sendJson(200, {
    VolumesDeleted: removed.map(({ name }) => name),
    SpaceReclaimed: removed.reduce((sum, { bytes }) => sum + bytes, 0),
  } satisfies VolumePruneResponse);
}
