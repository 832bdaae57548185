/**
 * Where the milliseconds of `hull run --rm --isolation vm hull/tiny true` go, from the daemon's own account, as bars.
 *
 *   scripts/bun bench/vm-bar.ts [--runs N] [--network NAME] [--pool] [--built]
 *
 * `--pool` has each one find a machine that waits with the image's root.
 * `--built` uses dist/hull as it is instead of building it.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import * as v from "valibot";
import { median } from "../src/compare/report.ts";
import { projectRoot, runProgram, startDaemon, type TestDaemon } from "../test/support/daemon.ts";
import { startAgainInOwnNamespaces } from "../test/support/own-namespaces.ts";
import { until } from "../test/support/until.ts";

startAgainInOwnNamespaces();

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "8" },
    network: { type: "string", default: "default" },
    pool: { type: "boolean", default: false },
    built: { type: "boolean", default: false },
  },
});

const lineSchema = v.looseObject({
  time: v.pipe(
    v.string(),
    v.transform((time) => Date.parse(time)),
  ),
  message: v.string(),
  step: v.optional(v.string()),
  milliseconds: v.optional(v.number()),
});
const whole = "whole";
/** What lies before a step. */
const gaps: Readonly<Record<string, string>> = {
  "create:record": "client's start",
  "start:record": "created, to start",
  "remove:record": "program and its end",
};
const barWidth = 48;

if (!values.built) {
  const { code, stderr } = await runProgram([join(projectRoot, "scripts/bun"), "scripts/build.ts"]);
  if (code !== 0) throw new Error(stderr);
}
await using daemon = await startDaemon({
  program: join(projectRoot, "dist/hull"),
  config: { logLevel: "debug", vm: { pool: values.pool ? 1 : 0 } },
});
const flags = values.network === "default" ? [] : ["--network", values.network];
const command = ["run", "--rm", "--isolation", "vm", ...flags, "hull/tiny", "true"];
// Makes the template, and warms everything up; after the second start, one with the image's root is made.
for (let run = 0; run < 2; run++) await daemon.hullOk(command, { timeoutMs: 180_000 });
await until("the image's template", () => daemon.log.includes("with the root of an image"));
const samples = new Map<string, number[]>();
for (let run = 0; run < Number(values.runs); run++)
  for (const [step, took] of await account(daemon)) samples.set(step, [...(samples.get(step) ?? []), took]);
const total = median(samples.get(whole) ?? []);
for (const [step, all] of samples) {
  const middle = median(all);
  const bar = "#".repeat(Math.round((middle / total) * barWidth));
  console.log(`${step.padEnd(34)} ${middle.toFixed(1).padStart(7)} ms  ${bar}`);
}

/** Whatever has started since the last one that waited has taken it. */
function isWaiting(): boolean {
  const { log } = daemon;
  const waits = log.lastIndexOf("a virtual machine waits for an image");
  return (
    waits > log.lastIndexOf("a virtual machine is up") &&
    log.slice(waits).split("\n", 1)[0]?.includes('"layers":') === true
  );
}

/**
 * One run, by its steps in their order. The rows `between …` are what lies between two steps of the daemon: the client, the
 * API, and, before the removal, the program itself. The daemon's clock says milliseconds.
 */
async function account(daemon: TestDaemon): Promise<Map<string, number>> {
  if (values.pool) await until("a machine waits", isWaiting);
  const { log: before } = daemon;
  const begun = Date.now();
  const started = performance.now();
  await daemon.hullOk(command, { timeoutMs: 60_000 });
  const steps = new Map([[whole, performance.now() - started]]);
  const ended = Date.now();
  const between = (name: string, from: number, to: number) =>
    steps.set(`between: ${name}`, Math.max(0, to - from));
  let last = begun;
  for (const line of daemon.log.slice(before.length).split("\n").filter(Boolean)) {
    const { time, message, step, milliseconds = 0, ...fields } = v.parse(lineSchema, JSON.parse(line));
    if (message === "step" && step !== undefined) {
      const gap = gaps[step];
      if (gap !== undefined) between(gap, last, time - milliseconds);
      steps.set(step, milliseconds);
      last = time;
    }
    if (message !== "a virtual machine is up") continue;
    for (const [lap, took] of Object.entries(fields))
      if (typeof took === "number") steps.set(`  ${lap}`, took);
  }
  between("removed, to client's end", last, ended);
  return steps;
}
