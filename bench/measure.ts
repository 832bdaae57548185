/** Timing of commands and memory of processes, and the lines of the report. */
import { readFile } from "node:fs/promises";
import { median } from "../src/compare/report.ts";
import { runProgram } from "../test/support/daemon.ts";

export interface Contestant {
  readonly name: string;
  /** Command of the Nth run; it must end with 0. */
  command(run: number): string[];
}

/** Runs the contestants in turns, so that a busy moment of the machine hits all of them; milliseconds, medians. */
export async function raceCommands(
  contestants: readonly Contestant[],
  runs: number,
): Promise<Map<string, number>> {
  const times = new Map<string, number[]>(contestants.map(({ name }) => [name, []]));
  // One run of each is for warming up.
  for (let run = -1; run < runs; run++) {
    for (const { name, command } of contestants) {
      const started = performance.now();
      const { code, stderr } = await runProgram(command(run));
      const elapsed = performance.now() - started;
      if (code !== 0) throw new Error(`${name} ended with ${code}: ${stderr}`);
      if (run >= 0) times.get(name)?.push(elapsed);
    }
  }
  return new Map([...times].map(([name, values]) => [name, median(values)]));
}

export interface Memory {
  /** Proportional set size, bytes. */
  readonly pss: number;
  /** Resident and anonymous, bytes. */
  readonly anonymous: number;
}

export async function memoryOfProcesses(pids: readonly number[]): Promise<Memory> {
  let pss = 0;
  let anonymous = 0;
  for (const pid of pids) {
    const text = await readFile(`/proc/${pid}/smaps_rollup`, "utf8");
    pss += Number(/^Pss:\s+(\d+)/m.exec(text)?.[1] ?? 0) * 1024;
    anonymous += Number(/^Anonymous:\s+(\d+)/m.exec(text)?.[1] ?? 0) * 1024;
  }
  return { pss, anonymous };
}

/** One line for a figure that has a bound; returns whether the bound is kept. */
export function reportBound(
  what: string,
  figure: number,
  bound: { most?: number; least?: number },
  unit: string,
): boolean {
  const kept =
    (bound.most === undefined || figure <= bound.most) &&
    (bound.least === undefined || figure >= bound.least);
  const limit = bound.most === undefined ? `at least ${bound.least}` : `at most ${bound.most}`;
  console.log(`${kept ? "ok  " : "MISS"}  ${what}: ${figure.toFixed(2)}${unit} (${limit}${unit})`);
  return kept;
}
