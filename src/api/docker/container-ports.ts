/** POST /hull/v1/containers/{id}/ports: what is published, changed while the workload runs. */
import * as v from "valibot";
import { dictionary } from "../../contract/dictionary.ts";
import type { Engine } from "../../engine/engine.ts";
import type { Route } from "../server.ts";
import { portRequests } from "./network-request.ts";

const text = v.nullish(v.string(), "");
const bindings = v.nullish(
  dictionary(v.nullish(v.array(v.object({ HostIp: text, HostPort: text })), [])),
  {},
);
const body = v.strictObject({ Add: bindings, Remove: bindings });

export function containerPortRoutes(engine: Engine): Route[] {
  return [
    {
      method: "POST",
      path: "/hull/v1/containers/:id/ports",
      async handle(exchange) {
        const { Add, Remove } = await exchange.json(body);
        const requests = (ports: typeof Add) =>
          Object.entries(ports).flatMap(([port, wanted]) => portRequests(port, wanted));
        const workload = engine.find(exchange.parameter("id"));
        await engine.networks.publish(workload, requests(Add), requests(Remove));
        exchange.sendEmpty(204);
      },
    },
  ];
}
