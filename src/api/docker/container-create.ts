/** POST /containers/create */
import type { ContainerCreateResponse } from "../../contract/docker.ts";
import type { Engine } from "../../engine/engine.ts";
import type { Route } from "../server.ts";
import { createBody, translateCreate } from "./create-request.ts";

export function containerCreateRoutes(engine: Engine): Route[] {
  return [
    {
      method: "POST",
      path: "/containers/create",
      async handle(exchange) {
        const body = await exchange.json(createBody);
        const request = translateCreate(body, exchange.text("name"), exchange.text("platform"));
        const workload = await engine.create(request);
        const { warning } = await engine.walls[request.wall].features();
        exchange.sendJson(201, {
          Id: workload.id,
          Warnings: warning === undefined ? [] : [warning],
        } satisfies ContainerCreateResponse);
      },
    },
  ];
}
