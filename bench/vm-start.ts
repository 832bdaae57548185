/**
 * Where the milliseconds of a virtual machine's start go: from a template, by a cold boot, and beside them a
 * container of Hull's own, by turns in one process, so that a busy machine is as busy for each.
 *
 *   scripts/bun bench/vm-start.ts [ROUNDS]
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type LogFields, silentLogger } from "../src/contract/logger.ts";
import { createContainerWall } from "../src/wall/container/container-wall.ts";
import { createVmWall } from "../src/wall/vm/vm-wall.ts";
import type { SandboxSpec, Wall } from "../src/wall/wall.ts";
import { startAgainInOwnNamespaces } from "../test/support/own-namespaces.ts";
import { makeTinyLayer } from "../test/support/tiny-layer.ts";

startAgainInOwnNamespaces();

const rounds = Number(process.argv[2] ?? 10);
const directory = mkdtempSync(join(tmpdir(), "bench-"));
await using layer = await makeTinyLayer();
const samples = new Map<string, Map<string, number[]>>();
let count = 0;

function note(contestant: string, step: string, value: number): void {
  const steps = samples.get(contestant) ?? new Map<string, number[]>();
  samples.set(contestant, steps);
  steps.set(step, [...(steps.get(step) ?? []), value]);
}

/** The wall's own account of a start. */
function debug(_: string, fields: LogFields = {}): void {
  const { from, ...steps } = fields;
  if (typeof from !== "string") return;
  for (const [step, value] of Object.entries(steps)) if (typeof value === "number") note(from, step, value);
}

function vmWall(templates: boolean) {
  const stateDirectory = join(directory, templates ? "t" : "b");
  mkdirSync(stateDirectory);
  return createVmWall({
    guestDirectory: join(import.meta.dir, "../.cache/guest"),
    stateDirectory,
    templateDirectory: join(directory, "templates"),
    templates,
    log: { ...silentLogger, debug },
    requireKvm: false,
    runtime: "crun",
    conmon: "conmon",
    qemu: "qemu-system-x86_64",
  });
}

const walls: Readonly<Record<string, Wall>> = {
  template: vmWall(true),
  boot: vmWall(false),
  container: createContainerWall({
    stateDirectory: join(directory, "c"),
    runtime: "crun",
    conmon: "conmon",
    seccompProfile: "/usr/share/containers/seccomp.json",
    filesProgram: join(import.meta.dir, "../.cache/guest/hull-files"),
  }),
};

try {
  // Makes the template, and warms everything up.
  const begin = performance.now();
  await measure("template", walls.template);
  console.log(`template made and used in ${Math.round(performance.now() - begin)} ms\n`);
  await measure("container", walls.container);
  samples.clear();
  for (let round = 0; round < rounds; round += 1)
    for (const [name, wall] of Object.entries(walls))
      if (name !== "boot" || round < 3) await measure(name, wall);
  for (const [name, steps] of samples)
    for (const [step, values] of steps)
      console.log(`${name.padEnd(10)} ${step.padEnd(8)} ${median(values).toFixed(1).padStart(8)}`);
  const whole = (name: string): number => median(samples.get(name)?.get("output") ?? []);
  console.log(`\ntemplate / boot       ${(whole("template") / whole("boot")).toFixed(3)}`);
  console.log(`template / container  ${(whole("template") / whole("container")).toFixed(2)}`);
} finally {
  for (const wall of Object.values(walls)) await wall.close();
  rmSync(directory, { recursive: true, force: true });
}

/** Starts a workload that says one word; `output` is the time until that word is here. */
async function measure(name: string, wall: Wall | undefined): Promise<void> {
  if (wall === undefined) return;
  const spec = nextSpec();
  const begin = performance.now();
  const sandbox = await wall.create(spec);
  note(name, "create", performance.now() - begin);
  const attachment = await sandbox.attach({ stdin: false });
  await sandbox.start();
  for await (const _ of attachment.output) break;
  note(name, "output", performance.now() - begin);
  const memory = memoryOf(sandbox.pid());
  if (memory !== undefined && name !== "container") note(name, "PSS MiB", memory);
  const ending = performance.now();
  await sandbox.signal(9);
  await sandbox.wait();
  await sandbox.remove();
  note(name, "remove", performance.now() - ending);
}

/** Proportional set size in MiB. */
function memoryOf(pid: number | undefined): number | undefined {
  const text = pid === undefined ? "" : readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  const found = /^Pss:\s+(\d+) kB/m.exec(text)?.[1];
  return found === undefined ? undefined : Number(found) / 1024;
}

function nextSpec(): SandboxSpec {
  count += 1;
  const own = join(directory, `w${count}`);
  mkdirSync(own);
  return {
    id: count.toString(16).padStart(64, "d"),
    name: `bench-${count}`,
    directory: own,
    runtimeDirectory: join(directory, `r${count}`),
    layers: [layer.path],
    process: {
      args: ["sh", "-c", "echo up; sleep 1000"],
      env: ["PATH=/bin"],
      cwd: "/",
      user: "",
      capabilities: [],
      terminal: false,
      stdin: false,
      stdinOnce: false,
    },
    hostname: "bench",
    readOnlyRoot: false,
    resources: { memoryBytes: 0, cpus: 0, pids: 0 },
    logPath: join(own, "log"),
  };
}

function median(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[Math.floor(values.length / 2)] ?? Number.NaN;
}
