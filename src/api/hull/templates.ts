/** /hull/v1/templates: what virtual machines start from. */
import * as v from "valibot";
import type { TemplateSummary } from "../../contract/docker.ts";
import type { Templates, TemplateView } from "../../wall/templates.ts";
import type { Route } from "../server.ts";

const amount = v.optional(v.pipe(v.number(), v.finite(), v.minValue(0)), 0);
const buildSchema = v.strictObject({ Memory: amount, Cpus: amount, Layers: amount });

export function templateRoutes(templates: Templates): Route[] {
  return [
    {
      method: "GET",
      path: "/hull/v1/templates",
      handle: async (exchange) => exchange.sendJson(200, (await templates.list()).map(summaryOf)),
    },
    {
      method: "POST",
      path: "/hull/v1/templates",
      async handle(exchange) {
        const { Memory, Cpus, Layers } = await exchange.json(buildSchema);
        const built = await templates.build({ memoryBytes: Memory, cpus: Cpus, layers: Layers });
        exchange.sendJson(201, summaryOf(built));
      },
    },
    {
      method: "POST",
      path: "/hull/v1/templates/prune",
      handle: async (exchange) => exchange.sendJson(200, (await templates.prune()).map(summaryOf)),
    },
    {
      method: "DELETE",
      path: "/hull/v1/templates/:name",
      handle: async (exchange) =>
        exchange.sendJson(200, summaryOf(await templates.remove(exchange.parameter("name")))),
    },
  ];
}

function summaryOf(view: TemplateView): TemplateSummary {
  return {
    Id: view.key,
    State: view.state,
    Memory: view.memoryBytes,
    Cpus: view.cpus,
    Layers: view.layers,
    Acceleration: view.acceleration,
    Size: view.size,
    Created: Math.floor(view.createdAt / 1000),
  };
}
