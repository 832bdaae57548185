/** A program behind a wall that does to files what it is told, one system call at a time (guest/test/operate.c). */
import { expect } from "bun:test";
import { join } from "node:path";
import type { WallKind } from "../../src/contract/isolation.ts";
import { projectRoot, type RunningHull, runProgram, type TestDaemon } from "./daemon.ts";
import { until } from "./until.ts";

export type Operate = (call: string) => Promise<string>;

/** Makes the program in a directory that exists. */
export async function compileOperator(directory: string): Promise<void> {
  const flags = "-std=gnu2x -D_GNU_SOURCE -static -O1 -Wall -Wextra -Werror";
  const source = join(projectRoot, "guest/test/operate.c");
  const program = join(directory, "operate");
  const built = await runProgram(["cc", ...flags.split(" "), "-o", program, source]);
  expect([built.code, built.stderr]).toEqual([0, ""]);
}

/** Starts it in a workload with these mounts, and a directory of programs. It goes with its daemon's workloads. */
export async function startOperator(
  daemon: TestDaemon,
  wall: WallKind,
  directory: string,
  mounts: readonly string[],
): Promise<Operate> {
  const running = daemon.spawnHull([
    ...["run", "--rm", "-i", "--isolation", wall, ...mounts],
    ...["-v", `${directory}:/tools:ro`, "hull/tiny", "/tools/operate"],
  ]);
  await running.waitForOutput(/^ready\n/);
  let answers = 1;
  return async (call) => {
    running.process.stdin.write(`${call}\n`);
    void running.process.stdin.flush();
    answers += 1;
    return await answer(running, call, answers);
  };
}

async function answer(running: RunningHull, call: string, number: number): Promise<string> {
  const lines = (): string[] => running.stdout().split("\n");
  await until(
    () => `${call} is answered; ${running.stderr()}`,
    () => Promise.resolve(lines().length > number),
  );
  return lines()[number - 1] ?? "";
}
