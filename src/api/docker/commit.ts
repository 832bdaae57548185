/** POST /commit: an image of a container. */
import * as v from "valibot";
import { dictionary } from "../../contract/dictionary.ts";
import type { CommitResponse } from "../../contract/docker/files.ts";
import type { CommitRequest } from "../../engine/commit.ts";
import type { Engine } from "../../engine/engine.ts";
import type { Exchange } from "../exchange.ts";
import type { Route } from "../server.ts";
import { refuseHealthcheck } from "./create-request.ts";
import { isEmpty } from "./options.ts";

const texts = v.nullish(v.array(v.string()));
const keys = v.nullish(dictionary(v.unknown()));
const body = v.looseObject({
  User: v.nullish(v.string()),
  Env: texts,
  Cmd: texts,
  Entrypoint: texts,
  WorkingDir: v.nullish(v.string()),
  Labels: v.nullish(dictionary(v.string())),
  ExposedPorts: keys,
  Volumes: keys,
  OnBuild: texts,
  Shell: texts,
  StopSignal: v.nullish(v.string()),
  Healthcheck: v.nullish(dictionary(v.unknown()), {}),
});

export function commitRoutes(engine: Engine): Route[] {
  return [{ method: "POST", path: "/commit", handle: (exchange) => commit(engine, exchange) }];
}

async function commit(engine: Engine, exchange: Exchange): Promise<void> {
  const workload = engine.find(exchange.text("container"));
  const [repository, tag] = [exchange.text("repo"), exchange.text("tag")];
  const image = await engine.commit(workload, {
    reference: repository === "" || tag === "" ? repository : `${repository}:${tag}`,
    author: exchange.text("author"),
    comment: exchange.text("comment"),
    changes: exchange.query.getAll("changes").flatMap((each) => (each === "" ? [] : [each])),
    config: configOf(await exchange.json(body)),
    pause: exchange.flag("pause", true),
  });
  exchange.sendJson(201, { Id: image.id } satisfies CommitResponse);
}

/** What a client says of the config counts; what it leaves empty is the container's. */
function configOf(given: v.InferOutput<typeof body>): CommitRequest["config"] {
  refuseHealthcheck(given.Healthcheck);
  const stated = <T, U>(value: T | null | undefined, use: (value: T) => U): U | undefined =>
    value === null || value === undefined || isEmpty(value) ? undefined : use(value);
  const same = <T>(value: T): T => value;
  const config = {
    user: stated(given.User, same),
    env: stated(given.Env, same),
    cmd: stated(given.Cmd, same),
    entrypoint: stated(given.Entrypoint, same),
    workingDir: stated(given.WorkingDir, same),
    labels: stated(given.Labels, same),
    exposedPorts: stated(given.ExposedPorts, Object.keys),
    volumes: stated(given.Volumes, Object.keys),
    onBuild: stated(given.OnBuild, same),
    shell: stated(given.Shell, same),
    stopSignal: stated(given.StopSignal, same),
  };
  return Object.fromEntries(Object.entries(config).filter(([, value]) => value !== undefined));
}
