/** What Docker's API has no word for: routes below /hull/v1. */
import { type DoctorOptions, examine } from "../../engine/doctor/doctor.ts";
import type { Route } from "../server.ts";

export function hullRoutes(options: DoctorOptions): Route[] {
  return [
    {
      method: "GET",
      path: "/hull/v1/doctor",
      handle: async (exchange) => exchange.sendJson(200, await examine(options)),
    },
  ];
}
