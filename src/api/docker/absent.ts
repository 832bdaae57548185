/**
 * Parts of Docker's API that Hull has nothing for: what there is none of is listed as empty, which is the truth,
 * and everything else is refused with a reason instead of "page not found".
 */
import type { HTTPMethod } from "find-my-way";
import { HullError } from "../../contract/errors.ts";
import type { Route } from "../server.ts";

const later = "it comes with a later version of Hull";
const single = "a Hull daemon works for itself, without a swarm";
const building = "Hull speaks the classic builder's protocol: set DOCKER_BUILDKIT=0";

/** Refused whatever the rest of the path says; `:name` stands for one part of it. */
const refused: readonly (readonly [
  methods: readonly HTTPMethod[],
  path: string,
  what: string,
  why: string,
])[] = [
  [["GET"], "/containers/:id/attach/ws", "attach by WebSocket", "attach by an upgrade to tcp"],
  [["GET", "POST", "DELETE"], "/containers/:id/checkpoints", "checkpoint", later],
  [["POST"], "/session", "BuildKit", building],
  [["POST"], "/grpc", "BuildKit", building],
  [["GET", "POST"], "/plugins/*", "plugin", "Hull has no plugins"],
  [["GET", "POST"], "/swarm", "swarm", single],
  [["GET", "POST"], "/swarm/*", "swarm", single],
  [["GET"], "/nodes", "node", single],
  [["GET"], "/services", "service", single],
  [["POST"], "/services/create", "service", single],
  [["GET"], "/tasks", "task", single],
  [["GET"], "/secrets", "secret", single],
  [["POST"], "/secrets/create", "secret", single],
  [["GET"], "/configs", "config", single],
  [["POST"], "/configs/create", "config", single],
];

export function absentRoutes(): Route[] {
  const answer = (method: HTTPMethod, path: string, body: unknown): Route => ({
    method,
    path,
    handle: (exchange) => exchange.sendJson(200, body),
  });
  return [
    ...refused.flatMap(([methods, path, what, why]) =>
      methods.map(
        (method): Route => ({
          method,
          path,
          handle() {
            throw new HullError("unsupported", { what, where: "", why });
          },
        }),
      ),
    ),
    answer("GET", "/plugins", []),
  ];
}
