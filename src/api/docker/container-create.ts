/** POST /containers/create */
import type { ContainerCreateResponse } from "../../contract/docker.ts";
import type { Engine } from "../../engine/engine.ts";
import type { RunRequest } from "../../engine/request.ts";
import type { Route } from "../server.ts";
import { createBody, translateCreate } from "./create-request.ts";

/** A workload that asks for no network in particular starts without one where none can be made. */
async function networkWarning(engine: Engine, request: RunRequest): Promise<string | undefined> {
  const { mode } = request.network;
  if (mode === "none" || mode === "host" || mode.startsWith("container:")) return undefined;
  const why = await engine.networks.unavailable();
  return why === undefined ? undefined : `the workload gets a loopback interface only: ${why}`;
}

export function containerCreateRoutes(engine: Engine): Route[] {
  return [
    {
      method: "POST",
      path: "/containers/create",
      async handle(exchange) {
        const body = await exchange.json(createBody);
        const request = translateCreate(body, exchange.text("name"), exchange.text("platform"));
        const workload = await engine.create(request);
        const wall = engine.walls[request.wall];
        const { warning } = await wall.features();
        const delay = await wall.delay?.(workload.record.spec);
        const warnings = [warning, delay, await networkWarning(engine, request)];
        exchange.sendJson(201, {
          Id: workload.id,
          Warnings: warnings.filter((text) => text !== undefined),
        } satisfies ContainerCreateResponse);
      },
    },
  ];
}
