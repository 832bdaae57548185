/** `hull compare`: runs one image behind each wall in turns, and reports what each wall costs and shows. */
import { readFile } from "node:fs/promises";
import { HullError } from "../contract/errors.ts";
import type { WallKind } from "../contract/isolation.ts";
import { ApiError, type Hull, splitReference } from "../sdk/main.ts";
import { formatBytes, formatMilliseconds, renderJson, renderTable, type WallResult } from "./report.ts";
import { measureRun, type RunMeasurement } from "./runs.ts";

export interface CompareOptions {
  readonly image: string;
  /** Runs of each wall; at least 1. */
  readonly runs: number;
  /** JSON instead of the table. */
  readonly json: boolean;
}

export interface CompareOutput {
  /** The report. */
  report(text: string): void;
  /** One line at a time of what goes on, without a newline. */
  progress(line: string): void;
}

const walls: readonly WallKind[] = ["container", "vm"];

export async function compare(hull: Hull, options: CompareOptions, output: CompareOutput): Promise<void> {
  const { image, runs, json } = options;
  if (!Number.isInteger(runs) || runs < 1)
    throw new HullError("invalidParameter", { what: "number of runs", value: runs, why: "give 1 or more" });
  await prepareImage(hull, image, output);
  const measured: Record<WallKind, RunMeasurement[]> = { container: [], vm: [] };
  for (let run = 1; run <= runs; run++) {
    for (const wall of walls) {
      const result = await measureRun(hull, image, wall);
      measured[wall].push(result);
      const figures = `${formatMilliseconds(result.firstExecMilliseconds)}, ${formatBytes(result.memoryBytes)}`;
      output.progress(`run ${run} of ${runs}, ${result.label}: ${figures}`);
    }
  }
  const comparison = {
    image,
    runs,
    hostKernel: (await readFile("/proc/sys/kernel/osrelease", "utf8")).trim(),
    container: summarize("container", measured.container),
    vm: summarize("vm", measured.vm),
  };
  output.report(json ? renderJson(comparison) : renderTable(comparison));
}

/** Pulling or making an image is no part of what is measured. */
async function prepareImage(hull: Hull, image: string, output: CompareOutput): Promise<void> {
  try {
    await hull.images.inspect(image);
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 404)) throw error;
    output.progress(`pulling ${image}`);
    for await (const _ of hull.images.pull(splitReference(image)));
  }
}

function summarize(wall: WallKind, measurements: readonly RunMeasurement[]): WallResult {
  const last = measurements.at(-1);
  if (last === undefined) throw new HullError("internal", { what: `the ${wall} wall was not measured` });
  return {
    wall,
    label: last.label,
    firstExecMilliseconds: measurements.map((each) => each.firstExecMilliseconds),
    memoryBytes: measurements.map((each) => each.memoryBytes),
    inside: last.inside,
  };
}
