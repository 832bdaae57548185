/** One measured life of a workload behind one wall, through the SDK as any other client. */
import { HullError } from "../contract/errors.ts";
import type { WallKind, WallLabel } from "../contract/isolation.ts";
import type { Hull } from "../sdk/main.ts";
import { memoryOf } from "./memory.ts";
import { type InsideView, idleCommand, parseView, readyAnswer, readyCommand, viewCommand } from "./probes.ts";

export interface RunMeasurement {
  readonly label: WallLabel;
  readonly firstExecMilliseconds: number;
  readonly memoryBytes: number;
  readonly inside: InsideView;
}

const labels: readonly WallLabel[] = ["container", "vm", "vm (tcg)"];

export async function measureRun(hull: Hull, image: string, wall: WallKind): Promise<RunMeasurement> {
  const started = performance.now();
  await using box = await hull.run({ image, isolation: wall, entrypoint: [], command: idleCommand });
  const ready = await box.exec(readyCommand);
  const firstExecMilliseconds = performance.now() - started;
  if (ready.code !== 0 || ready.stdout.toString() !== readyAnswer)
    throw new HullError("internal", {
      what: `the first exec behind the ${wall} wall ended with ${ready.code}: ${ready.stderr.toString().trim()}`,
    });
  const view = await box.exec(viewCommand);
  if (view.code !== 0)
    throw new HullError("internal", {
      what: `the probe behind the ${wall} wall ended with ${view.code}: ${view.stderr.toString().trim()}`,
    });
  const { State, Hull } = await box.inspect();
  return {
    label: labels.find((label) => label === Hull.Wall) ?? wall,
    firstExecMilliseconds,
    memoryBytes: await memoryOf(State.Pid),
    inside: parseView(view.stdout.toString()),
  };
}
