/** The images that are here: list, inspect, history, tag, delete, prune. */
import type { ImageHistoryItem, ImageInspect } from "../../contract/docker.ts";
import { HullError } from "../../contract/errors.ts";
import type { Engine } from "../../engine/engine.ts";
import type { Image } from "../../image/image-store.ts";
import type { Exchange } from "../exchange.ts";
import type { Route } from "../server.ts";
import { storageDriver } from "./container-views.ts";
import { listImages, secondsOf } from "./image-list.ts";
import { deleteItemOf, pruneImages } from "./image-prune.ts";
import { push } from "./image-push.ts";

export function imageRoutes(engine: Engine): Route[] {
  return [
    { method: "GET", path: "/images/json", handle: (exchange) => listImages(engine, exchange) },
    { method: "GET", path: "/images/get", handle: (exchange) => save(engine, exchange, namesOf(exchange)) },
    { method: "GET", path: "/images/*", handle: (exchange) => read(engine, exchange) },
    { method: "POST", path: "/images/prune", handle: (exchange) => pruneImages(engine, exchange) },
    { method: "POST", path: "/images/*", handle: (exchange) => tag(engine, exchange) },
    {
      method: "DELETE",
      path: "/images/*",
      async handle(exchange) {
        const options = { force: exchange.flag("force") };
        const removed = await engine.images.remove(exchange.parameter("*"), options);
        exchange.sendJson(200, removed.map(deleteItemOf));
      },
    },
  ];
}

/** An image's name may have slashes, so the verb is what follows the last one. */
function splitVerb(exchange: Exchange): { name: string; verb: string } {
  const path = exchange.parameter("*");
  const slash = path.lastIndexOf("/");
  return { name: path.slice(0, Math.max(0, slash)), verb: path.slice(slash + 1) };
}

async function read(engine: Engine, exchange: Exchange): Promise<void> {
  const { name, verb } = splitVerb(exchange);
  if (verb === "get") return await save(engine, exchange, [name]);
  if (verb !== "json" && verb !== "history")
    throw new HullError("noSuchRoute", { value: `GET /images/${name}/${verb}` });
  const image = await engine.images.resolve(name);
  exchange.sendJson(200, verb === "json" ? inspectOf(image) : historyOf(image));
}

function namesOf(exchange: Exchange): string[] {
  const names = exchange.query.getAll("names").flatMap((each) => each.split(","));
  if (names.some((name) => name !== "")) return names.filter((name) => name !== "");
  throw new HullError("invalidParameter", { what: "names", value: "", why: "name the images to save" });
}

async function save(engine: Engine, exchange: Exchange, names: readonly string[]): Promise<void> {
  if (exchange.text("platform") !== "")
    throw new HullError("unsupported", {
      what: "platform",
      where: " in a save",
      why: "an image is saved with all of its platforms that are here",
    });
  await using archive = await engine.images.save(names);
  const channel = exchange.sendStream("application/x-tar");
  for await (const chunk of archive) {
    if (channel.gone.aborted) return;
    await channel.write(chunk);
  }
  channel.end();
}

function inspectOf(image: Image): ImageInspect {
  const { config } = image;
  const ports = Object.fromEntries(config.exposedPorts.map((port) => [port, {}]));
  const volumes = Object.fromEntries(config.volumes.map((volume) => [volume, {}]));
  return {
    Id: image.id,
    RepoTags: image.references,
    RepoDigests: image.digests,
    Parent: "",
    Comment: config.history.at(-1)?.comment ?? "",
    Created: config.created === "" ? "0001-01-01T00:00:00Z" : config.created,
    DockerVersion: "",
    Author: config.author,
    Config: {
      User: config.user,
      ...(config.exposedPorts.length === 0 ? {} : { ExposedPorts: ports }),
      Env: config.env,
      Entrypoint: config.entrypoint.length === 0 ? null : config.entrypoint,
      Cmd: config.cmd.length === 0 ? null : config.cmd,
      ...(config.volumes.length === 0 ? {} : { Volumes: volumes }),
      WorkingDir: config.workingDir,
      Labels: config.labels,
      ...(config.stopSignal === "" ? {} : { StopSignal: config.stopSignal }),
      ...config.shown,
    },
    Architecture: config.architecture,
    Os: config.os,
    Size: image.sizeBytes,
    VirtualSize: image.sizeBytes,
    GraphDriver: { Name: storageDriver, Data: null },
    RootFS: { Type: "layers", Layers: image.layers.map((layer) => layer.diffId) },
    Metadata: { LastTagTime: "0001-01-01T00:00:00Z" },
  };
}

/** Newest first, as Docker lists it; layers belong to the steps that are not empty, in order. */
function historyOf(image: Image): ImageHistoryItem[] {
  const layers = [...image.layers];
  const { history, created } = image.config;
  const steps =
    history.length > 0
      ? history
      : layers.map(() => ({ created, createdBy: "", comment: "", emptyLayer: false }));
  const items = steps.map(
    (step): ImageHistoryItem => ({
      Id: "<missing>",
      Created: secondsOf(step.created),
      CreatedBy: step.createdBy,
      Tags: null,
      Size: step.emptyLayer ? 0 : (layers.shift()?.sizeBytes ?? 0),
      Comment: step.comment,
    }),
  );
  const last = items.pop();
  if (last !== undefined)
    items.push({ ...last, Id: image.id, Tags: image.references.length === 0 ? null : image.references });
  return items.reverse();
}

async function tag(engine: Engine, exchange: Exchange): Promise<void> {
  const { name, verb } = splitVerb(exchange);
  if (verb === "push") return push(engine, exchange, name);
  if (verb !== "tag") throw new HullError("noSuchRoute", { value: `POST /images/${name}/${verb}` });
  const repository = exchange.text("repo");
  const word = exchange.text("tag");
  await engine.images.tag(name, word === "" ? repository : `${repository}:${word}`);
  exchange.sendEmpty(201);
}
