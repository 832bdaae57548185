/**
 * Scenarios are written once and run behind both walls, against one daemon for each test file. Booting a virtual
 * machine takes seconds without KVM, so a scenario asks much of each workload.
 */
import { afterAll, beforeAll, describe } from "bun:test";
import type { WallKind } from "../../src/contract/isolation.ts";
import {
  type HullOptions,
  type HullResult,
  type RunningHull,
  startDaemon,
  type TestDaemon,
} from "./daemon.ts";
import type { Terminal, TerminalOptions } from "./terminal.ts";

export const walls: readonly WallKind[] = ["container", "vm"];

/** Limit of one test; a virtual machine may need a good part of a minute on a busy machine. */
export const testTimeout = 240_000;

export interface Scenario {
  readonly wall: WallKind;
  daemon(): TestDaemon;
  /** `hull run --isolation WALL …` */
  run(args: readonly string[], options?: HullOptions): Promise<HullResult>;
  /** The same, going on beside the test. */
  spawnRun(args: readonly string[]): RunningHull;
  /** The same in a terminal. */
  runTerminal(args: readonly string[], options?: TerminalOptions): Terminal;
  hull(args: readonly string[], options?: HullOptions): Promise<HullResult>;
  /** A command that must succeed; its output without the last newline. */
  ok(args: readonly string[], options?: HullOptions): Promise<string>;
  /** A name of this wall's own. */
  name(base: string): string;
  /** What `hull inspect` says of one workload. */
  inspect(name: string): Promise<Inspected>;
}

/** The parts of `hull inspect` that scenarios look at. */
export interface Inspected {
  readonly Id: string;
  readonly State: {
    readonly Status: string;
    readonly Running: boolean;
    readonly OOMKilled: boolean;
    readonly ExitCode: number;
    readonly Pid: number;
    readonly Error: string;
  };
  readonly HostConfig: { readonly Isolation: string };
}

/** Defines the tests of a file for both walls; all of them share one daemon. */
export function onBothWalls(title: string, define: (scenario: Scenario) => void): void {
  let daemon: TestDaemon | undefined;
  const current = (): TestDaemon => {
    if (daemon === undefined) throw new Error("the daemon of this file did not start");
    return daemon;
  };
  beforeAll(async () => {
    daemon = await startDaemon();
  }, testTimeout);
  afterAll(async () => {
    await daemon?.[Symbol.asyncDispose]();
  }, testTimeout);
  for (const wall of walls) describe(`${title}, ${wall} wall`, () => define(scenarioOf(wall, current)));
}

function scenarioOf(wall: WallKind, daemon: () => TestDaemon): Scenario {
  const runArgs = (args: readonly string[]): string[] => ["run", "--isolation", wall, ...args];
  return {
    wall,
    daemon,
    run: (args, options) => daemon().hull(runArgs(args), options),
    spawnRun: (args) => daemon().spawnHull(runArgs(args)),
    runTerminal: (args, options) => daemon().terminal(runArgs(args), options),
    hull: (args, options) => daemon().hull(args, options),
    ok: (args, options) => daemon().hullOk(args, options),
    name: (base) => `${base}-${wall}`,
    async inspect(name) {
      const answer: unknown = JSON.parse(await daemon().hullOk(["inspect", name]));
      if (!Array.isArray(answer) || answer.length !== 1)
        throw new Error(`inspect gave ${JSON.stringify(answer)}`);
      return answer[0];
    },
  };
}
