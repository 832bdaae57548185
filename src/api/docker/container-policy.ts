/** POST /hull/v1/containers/{id}/policy: what a workload may reach, and how fast, changed while it runs or rests. */
import * as v from "valibot";
import type { Engine } from "../../engine/engine.ts";
import type { Route } from "../server.ts";
import { parseEgress, parseRateOf } from "./policy-request.ts";

const body = v.strictObject({
  Egress: v.optional(v.array(v.string())),
  IngressRate: v.optional(v.string()),
  EgressRate: v.optional(v.string()),
});

export function containerPolicyRoutes(engine: Engine): Route[] {
  return [
    {
      method: "POST",
      path: "/hull/v1/containers/:id/policy",
      async handle(exchange) {
        const { Egress, IngressRate, EgressRate } = await exchange.json(body);
        const workload = engine.find(exchange.parameter("id"));
        await engine.networks.changePolicy(workload, {
          ...(Egress === undefined ? {} : { egress: parseEgress(Egress) }),
          ...(IngressRate === undefined ? {} : { ingressRate: parseRateOf(IngressRate, "rate of ingress") }),
          ...(EgressRate === undefined ? {} : { egressRate: parseRateOf(EgressRate, "rate of egress") }),
        });
        exchange.sendEmpty(204);
      },
    },
  ];
}
