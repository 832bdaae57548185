/** All routes of the Docker Engine API that Hull speaks. */
import type { Engine } from "../../engine/engine.ts";
import type { Route } from "../server.ts";
import { absentRoutes } from "./absent.ts";
import { buildRoutes } from "./build.ts";
import { commitRoutes } from "./commit.ts";
import { containerCreateRoutes } from "./container-create.ts";
import { containerFileRoutes } from "./container-files.ts";
import { containerLifeRoutes } from "./container-life.ts";
import { containerListRoutes } from "./container-list.ts";
import { containerPolicyRoutes } from "./container-policy.ts";
import { containerPortRoutes } from "./container-ports.ts";
import { containerStatsRoutes } from "./container-stats.ts";
import { containerStreamRoutes } from "./container-streams.ts";
import { eventRoutes } from "./events.ts";
import { execRoutes } from "./exec.ts";
import { imageTransferRoutes } from "./image-transfer.ts";
import { imageRoutes } from "./images.ts";
import { networkRoutes } from "./networks.ts";
import { registryRoutes } from "./registries.ts";
import { type SystemFacts, systemRoutes } from "./system.ts";
import { volumeRoutes } from "./volumes.ts";

export function dockerRoutes(engine: Engine, facts: SystemFacts): Route[] {
  return [
    ...systemRoutes(engine, facts),
    ...eventRoutes(engine),
    ...containerCreateRoutes(engine),
    ...containerPolicyRoutes(engine),
    ...containerPortRoutes(engine),
    ...containerListRoutes(engine),
    ...containerLifeRoutes(engine),
    ...containerStreamRoutes(engine),
    ...containerFileRoutes(engine),
    ...commitRoutes(engine),
    ...containerStatsRoutes(engine),
    ...execRoutes(engine),
    ...imageTransferRoutes(engine),
    ...imageRoutes(engine),
    ...buildRoutes(engine),
    ...networkRoutes(engine),
    ...registryRoutes(engine),
    ...volumeRoutes(engine),
    ...absentRoutes(),
  ];
}
