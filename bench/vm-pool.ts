/**
 * What a machine that waited saves: the time from the create request to the answer of the first exec, through the daemon's
 * API, of `run -d`, `exec true`; with the warm pool and without, in turns, by two daemons on one machine.
 *
 *   scripts/bun bench/vm-pool.ts [ROUNDS]
 */

import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { connect } from "../src/sdk/main.ts";
import { startDaemon, type TestDaemon } from "../test/support/daemon.ts";
import { startAgainInOwnNamespaces } from "../test/support/own-namespaces.ts";

startAgainInOwnNamespaces();

const rounds = Number(process.argv[2] ?? 10);
const isolation = "vm";
const image = "hull/tiny";
await using pooled = await startDaemon({ config: { vm: { pool: 1 } } });
await using plain = await startDaemon();
const contestants = { pool: pooled, template: plain };
const samples: Record<keyof typeof contestants, { exec: number[]; run: number[] }> = {
  pool: { exec: [], run: [] },
  template: { exec: [], run: [] },
};

/** Milliseconds after which a machine that was noted waits for its image, and the processors are free again. */
const settled = 3000;

async function untilReady(daemon: TestDaemon): Promise<void> {
  if (daemon !== pooled) return await Bun.sleep(200);
  const directory = join(daemon.state, "pool");
  const isOld = (name: string) => Date.now() - statSync(join(directory, name)).mtimeMs > settled;
  while (!existsSync(directory) || !readdirSync(directory).some(isOld)) await Bun.sleep(20);
}

async function measure(name: keyof typeof contestants): Promise<void> {
  const daemon = contestants[name];
  await untilReady(daemon);
  using hull = connect({ socket: daemon.socket });
  let begin = performance.now();
  const box = await hull.run({ image, isolation, command: ["sleep", "1000"] });
  await box.exec(["true"]);
  samples[name].exec.push(performance.now() - begin);
  await box.remove();
  await untilReady(daemon);
  begin = performance.now();
  const brief = await hull.run({ image, isolation, command: ["true"] });
  await brief.wait();
  await brief.remove();
  samples[name].run.push(performance.now() - begin);
}

for (const name of ["pool", "template"] as const) await measure(name);
for (const { exec, run } of Object.values(samples)) exec.length = run.length = 0;
for (let round = 0; round < rounds; round += 1)
  for (const name of ["pool", "template"] as const) await measure(name);

const median = (values: readonly number[]): number =>
  values.toSorted((left, right) => left - right)[Math.floor(values.length / 2)] ?? Number.NaN;
for (const what of ["exec", "run"] as const) {
  const [pool, template] = [median(samples.pool[what]), median(samples.template[what])];
  const title = what === "exec" ? "first exec" : "run --rm true";
  console.log(
    `${title.padEnd(14)} pool ${pool.toFixed(0)} ms, template ${template.toFixed(0)} ms, ratio ${(pool / template).toFixed(2)}`,
  );
  const best = (values: readonly number[]) => Math.min(...values);
  console.log(
    `${"".padEnd(14)} least: pool ${best(samples.pool[what]).toFixed(0)} ms, template ${best(samples.template[what]).toFixed(0)} ms`,
  );
}
