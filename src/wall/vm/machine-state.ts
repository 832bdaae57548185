/** What is recorded of a machine beside its spec, for the next daemon. */
import { readFileSync } from "node:fs";
import * as v from "valibot";
import { errnoNameOf } from "../../host/system-error.ts";
import type { SandboxSpec } from "../wall.ts";
import { logSize } from "./output-log.ts";
import type { MachineState } from "./sandbox-parts.ts";

const stateSchema = v.object({
  logStart: v.number(),
  logOffset: v.tuple([v.number(), v.number()]),
  memoryBytes: v.number(),
  layerPlaces: v.nullable(v.number()),
  freshDisk: v.boolean(),
  wiredCards: v.optional(v.boolean(), false),
});

export function newState(spec: SandboxSpec, memoryBytes: number, layerPlaces: number | null): MachineState {
  return {
    memoryBytes,
    layerPlaces,
    freshDisk: false,
    wiredCards: false,
    logStart: logSize(spec.logPath),
    logOffset: [0, 0],
  };
}

export function readState(path: string): MachineState | undefined {
  try {
    return v.parse(stateSchema, JSON.parse(readFileSync(path, "utf8")));
  } catch (error) {
    // A daemon that was killed while making the sandbox may have left half of it.
    if (errnoNameOf(error) === "ENOENT" || error instanceof SyntaxError) return undefined;
    throw error;
  }
}
