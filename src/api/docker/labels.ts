/** How the walls of workloads are labelled here, looked up once a request. */
import type { WallKind, WallLabel } from "../../contract/isolation.ts";
import type { Engine } from "../../engine/engine.ts";
import type { Workload } from "../../engine/workload.ts";

/** Only of walls that are in use: to find out about the other may take long. */
export async function wallLabels(
  engine: Engine,
  workloads: readonly Workload[],
): Promise<(workload: Workload) => WallLabel> {
  const labels = new Map<WallKind, WallLabel>();
  for (const wall of new Set(workloads.map(({ record }) => record.wall)))
    labels.set(wall, (await engine.walls[wall].features()).label);
  return ({ record }) => labels.get(record.wall) ?? record.wall;
}
