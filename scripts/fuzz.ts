/**
 * Feeds changed tars, compressed data, manifests, configs and archives to everything that reads them, and mounts
 * every layer that comes of it. Ends with 1 at the first finding; `--from N --runs 1` runs that case again.
 *
 *   scripts/bun scripts/fuzz.ts [--runs N] [--seed N] [--from N]     # as root: it mounts
 */
import { parseArgs } from "node:util";
import { fuzz } from "../src/image/fuzz/run.ts";

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "100000" },
    seed: { type: "string", default: "1" },
    from: { type: "string", default: "0" },
  },
});
const [runs, seed, from] = [Number(values.runs), Number(values.seed), Number(values.from)];

const started = performance.now();
const before = process.memoryUsage().rss;
let most = before;
const result = await fuzz(seed, from, from + runs, (done) => {
  most = Math.max(most, process.memoryUsage().rss);
  if (done % 10_000 === 0) console.log(`${done} cases, ${megabytes(process.memoryUsage().rss)} resident`);
});
for (const [name, { taken, refused }] of Object.entries(result.cases))
  console.log(`${name}: ${taken} taken, ${refused} refused`);
console.log(
  `${runs} cases of seed ${seed} in ${((performance.now() - started) / 1000).toFixed(0)} s: nothing found;`,
  `${result.mounted} layers mounted and read; the slowest case (${result.slowest.index}) took`,
  `${result.slowest.milliseconds.toFixed(0)} ms; ${megabytes(before)} resident before, at most ${megabytes(most)}`,
);

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`;
}
