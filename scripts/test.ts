/**
 * Runs everything that `npm test` promises: checks, unit tests, real clients, scenarios, faults, and at the end
 * a look at what the suite left on the machine. The last line is `N passed, N failed, N skipped`.
 *
 *   scripts/test.ts [PATH…]   only test files whose path starts with one of PATH (no checks)
 */
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { markedProcesses, newIn, takeSnapshot, withoutForeign } from "./testing/leaks.ts";
import { type Outcome, type RunOptions, runCheck, runTestFile } from "./testing/run-file.ts";

const root = join(import.meta.dir, "..");
const only = process.argv.slice(2).map((path) => path.replace(/^\.\//, ""));

const groups = [
  "src/**/*.test.ts",
  "test/clients/**/*.test.ts",
  "test/scenarios/**/*.test.ts",
  "test/faults/**/*.test.ts",
];

const outcomes: Outcome[] = [];
const before = await takeSnapshot();
// A short name: unix sockets below it have 107 bytes for their whole path.
const temporary = await mkdtemp(join(tmpdir(), "t-"));
const marker = `HULL_SUITE=${temporary}`;
const options: RunOptions = {
  root,
  temporary,
  limitSeconds: 1200,
  env: {
    ...process.env,
    HULL_SUITE: temporary,
    TMPDIR: temporary,
    PATH: `${process.env.PATH}:/usr/sbin:/sbin:${join(root, ".cache/peers/usr/bin")}`,
  },
};

if (only.length === 0) await runChecks();
for (const file of testFiles()) report(await runTestFile(file, options));
report(await checkLeaks());

for (const { title, output, failed } of outcomes)
  if (failed > 0) console.log(`\n--- ${title}\n${output.trimEnd()}`);
const total = (key: "passed" | "failed" | "skipped"): number =>
  outcomes.reduce((sum, outcome) => sum + outcome[key], 0);
console.log(`\n${total("passed")} passed, ${total("failed")} failed, ${total("skipped")} skipped`);
process.exit(total("failed") === 0 ? 0 : 1);

async function runChecks(): Promise<void> {
  const bin = join(root, "node_modules/.bin");
  report(await runCheck("types", [join(bin, "tsc"), "--noEmit"], options));
  report(await runCheck("lint", [join(bin, "biome"), "check", "."], options));
  report(await runCheck("imports", [join(root, "scripts/bun"), "scripts/check-imports.ts"], options));
}

function testFiles(): string[] {
  const files = groups.flatMap((pattern) => [...new Bun.Glob(pattern).scanSync(root)].sort());
  return only.length === 0 ? files : files.filter((file) => only.some((path) => file.startsWith(path)));
}

function report(outcome: Outcome): void {
  outcomes.push(outcome);
  const { title, passed, failed, skipped, seconds } = outcome;
  const counts = [`${passed} passed`];
  if (failed > 0) counts.push(`${failed} failed`);
  if (skipped > 0) counts.push(`${skipped} skipped`);
  console.log(`${failed > 0 ? "FAIL" : "ok  "}  ${title}  ${counts.join(", ")}, ${seconds.toFixed(1)} s`);
}

/** The kernel takes some things away a moment after their last process; what is there after 5 s was forgotten. */
async function settledLeftovers(): Promise<string[]> {
  const deadline = Date.now() + 5000;
  for (;;) {
    const left = await withoutForeign(newIn(await takeSnapshot(), before), marker);
    if (left.length === 0 || Date.now() > deadline) return left;
    await Bun.sleep(200);
  }
}

/** Everything that was not there before the suite, and every process that it started and that still runs. */
async function checkLeaks(): Promise<Outcome> {
  const started = performance.now();
  const left = await settledLeftovers();
  for (const { pid, command } of await markedProcesses(marker)) {
    left.push(`process ${pid}: ${command}`);
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It ended by itself in the meantime.
    }
  }
  for (const name of await readdir(temporary)) left.push(`file ${join(temporary, name)}`);
  await rm(temporary, { recursive: true, force: true });
  return {
    title: "nothing is left on the machine",
    passed: left.length === 0 ? 1 : 0,
    failed: left.length === 0 ? 0 : 1,
    skipped: 0,
    seconds: (performance.now() - started) / 1000,
    output: left.join("\n"),
  };
}
