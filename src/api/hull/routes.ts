/** What Docker's API has no word for: routes below /hull/v1. */
import { type DoctorOptions, examine } from "../../engine/doctor/doctor.ts";
import type { Engine } from "../../engine/engine.ts";
import type { Templates } from "../../wall/templates.ts";
import type { Route } from "../server.ts";
import { containerRoutes } from "./containers.ts";
import { imageVerifyRoutes } from "./images.ts";
import { templateRoutes } from "./templates.ts";

export function hullRoutes(engine: Engine, options: DoctorOptions, templates: Templates): Route[] {
  return [
    ...containerRoutes(engine),
    ...imageVerifyRoutes(engine),
    ...templateRoutes(templates),
    {
      method: "GET",
      path: "/hull/v1/doctor",
      handle: async (exchange) => exchange.sendJson(200, await examine(options)),
    },
  ];
}
