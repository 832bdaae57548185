/** /hull/v1/containers: what Docker has no word for, of containers whose memory can be saved. */
import * as v from "valibot";
import type { ForkedContainer } from "../../contract/docker.ts";
import { HullError } from "../../contract/errors.ts";
import { acceptedIsolations, wallOfIsolation } from "../../contract/isolation.ts";
import type { Engine } from "../../engine/engine.ts";
import type { Route } from "../server.ts";

const forkSchema = v.strictObject({
  Count: v.optional(v.pipe(v.number(), v.integer()), 1),
  Name: v.optional(v.string()),
});

const moveSchema = v.strictObject({ Isolation: v.string() });

export function containerRoutes(engine: Engine): Route[] {
  return [
    {
      method: "POST",
      path: "/hull/v1/containers/:id/suspend",
      async handle(exchange) {
        await engine.suspend(engine.find(exchange.parameter("id")));
        exchange.sendEmpty(204);
      },
    },
    {
      method: "POST",
      path: "/hull/v1/containers/:id/resume",
      async handle(exchange) {
        await engine.resume(engine.find(exchange.parameter("id")));
        exchange.sendEmpty(204);
      },
    },
    {
      method: "POST",
      path: "/hull/v1/containers/:id/move",
      async handle(exchange) {
        const { Isolation } = await exchange.json(moveSchema);
        const wall = wallOfIsolation(Isolation);
        if (wall === undefined)
          throw new HullError("invalidIsolation", {
            value: Isolation,
            accepted: acceptedIsolations.join(", "),
          });
        await engine.move(engine.find(exchange.parameter("id")), wall, Isolation);
        exchange.sendEmpty(204);
      },
    },
    {
      method: "POST",
      path: "/hull/v1/containers/:id/fork",
      async handle(exchange) {
        const { Count, Name } = await exchange.json(forkSchema);
        const parent = engine.find(exchange.parameter("id"));
        const siblings = await engine.fork(parent, { count: Count, name: Name });
        const answer: ForkedContainer[] = siblings.map(({ id, record }) => ({ Id: id, Name: record.name }));
        exchange.sendJson(201, answer);
      },
    },
  ];
}
