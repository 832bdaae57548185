/** Runs one test file in a process of its own and says how it went. */
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";

export interface Outcome {
  readonly title: string;
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly seconds: number;
  /** All of the output; shown when something failed. */
  readonly output: string;
}

export interface RunOptions {
  readonly root: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly temporary: string;
  /** The process is ended after this. */
  readonly limitSeconds: number;
}

/** A command that passes or fails as a whole. */
export async function runCheck(
  title: string,
  command: readonly string[],
  options: RunOptions,
): Promise<Outcome> {
  const { code, output, seconds } = await capture(command, options);
  return { title, passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, skipped: 0, seconds, output };
}

export async function runTestFile(file: string, options: RunOptions): Promise<Outcome> {
  const report = join(options.temporary, `report-${Bun.hash(file).toString(36)}.xml`);
  const reporter = ["--reporter=junit", `--reporter-outfile=${report}`];
  const command = [
    join(options.root, "scripts/bun"),
    "test",
    `./${file}`,
    "--timeout",
    "120000",
    ...reporter,
  ];
  const { code, output, seconds } = await capture(command, options);
  const counts = await countsOf(report);
  await rm(report, { force: true });
  // A file that ended badly without a failed test (it crashed, or did not load) counts as one failure.
  const failed = counts.failed === 0 && code !== 0 ? 1 : counts.failed;
  return { title: file, passed: counts.passed, failed, skipped: counts.skipped, seconds, output };
}

async function capture(
  command: readonly string[],
  options: RunOptions,
): Promise<{ code: number; output: string; seconds: number }> {
  const started = performance.now();
  const child = Bun.spawn([...command], {
    cwd: options.root,
    env: options.env,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  let late = "";
  const timer = setTimeout(() => {
    late = `\nended: it took longer than ${options.limitSeconds} s\n`;
    child.kill("SIGKILL");
  }, options.limitSeconds * 1000);
  // A process that outlives the test file may hold its output open: what came until a moment after the end counts.
  const output = collect([child.stdout, child.stderr]);
  const code = await child.exited;
  clearTimeout(timer);
  await Promise.race([output.finished, Bun.sleep(2000)]);
  return { code, output: output.text() + late, seconds: (performance.now() - started) / 1000 };
}

function collect(streams: readonly ReadableStream<Uint8Array>[]): {
  finished: Promise<unknown>;
  text: () => string;
} {
  let text = "";
  const read = async (stream: ReadableStream<Uint8Array>): Promise<void> => {
    const decoder = new TextDecoder();
    for await (const chunk of stream) text += decoder.decode(chunk, { stream: true });
  };
  return { finished: Promise.all(streams.map(read)), text: () => text };
}

async function countsOf(report: string): Promise<{ passed: number; failed: number; skipped: number }> {
  const xml = await readFile(report, "utf8").catch(() => "");
  const head = /<testsuites\b[^>]*>/.exec(xml)?.[0] ?? "";
  const count = (name: string): number => Number(new RegExp(`\\b${name}="(\\d+)"`).exec(head)?.[1] ?? 0);
  const failed = count("failures") + count("errors");
  return { passed: count("tests") - failed - count("skipped"), failed, skipped: count("skipped") };
}
