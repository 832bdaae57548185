/** How each wall is labelled here, looked up once a request. */
import type { WallKind, WallLabel } from "../../contract/isolation.ts";
import type { Engine } from "../../engine/engine.ts";

type WallLabels = Readonly<Record<WallKind, WallLabel>>;

export async function wallLabels(engine: Engine): Promise<WallLabels> {
  const [container, vm] = await Promise.all([engine.walls.container.features(), engine.walls.vm.features()]);
  return { container: container.label, vm: vm.label };
}
