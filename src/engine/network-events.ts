/** What starts and ends of workloads mean to networks, told as Docker tells it: a connection lasts as long as the sandbox. */
import type { EngineContext } from "./context.ts";
import type { Workload } from "./workload.ts";

export function emitConnections(
  { events, networks }: EngineContext,
  workload: Workload,
  action: "connect" | "disconnect",
): void {
  const place = networks.workload(workload.id);
  if (place === undefined) return;
  const on = new Set(place.endpoints.map(({ network }) => network));
  const { mode } = place.request;
  for (const { id, name, driver: type } of networks.list())
    if (on.has(id) || (type !== "bridge" && name === mode))
      events.emit("network", action, id, { container: workload.id, name, type });
}
