/**
 * Virtual machines as users start them, against containers of Docker's: one run after the other, many at once,
 * and what many of them cost while they do nothing.
 *
 *   scripts/bun bench/vm-run.ts [--runs N] [--together N] [--idle N] [--built]
 *
 * `--built` uses dist/hull as it is instead of building it.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { inPrivateMountNamespace } from "../src/host/mount-namespace.ts";
import { projectRoot, runProgram, startDaemon, type TestDaemon } from "../test/support/daemon.ts";
import { startAgainInOwnNamespaces } from "../test/support/own-namespaces.ts";
import { startDockerd, unpackDockerd } from "./dockerd.ts";
import { memoryOfProcesses, raceCommands, reportBound } from "./measure.ts";
import { newPlace } from "./network-places.ts";
import { tinyTar } from "./tiny-tar.ts";

// Packages come over the network, which is gone afterwards.
if (!inPrivateMountNamespace()) await unpackDockerd();
startAgainInOwnNamespaces();

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "15" },
    together: { type: "string", default: "20" },
    idle: { type: "string", default: "100" },
    built: { type: "boolean", default: false },
  },
});
const kept: boolean[] = [];
{
  if (!values.built) await runOrThrow([join(projectRoot, "scripts/bun"), "scripts/build.ts"]);
  await using daemon = await startDaemon({ program: join(projectRoot, "dist/hull") });
  // Makes the template.
  await daemon.hullOk([...machine("--rm"), "true"], { timeoutMs: 180_000 });
  if (Number(values.runs) > 0) await raceDocker(daemon, Number(values.runs));
  if (Number(values.together) > 0) await startTogether(daemon, Number(values.together));
  if (Number(values.idle) > 0) await keepIdle(daemon, Number(values.idle));
}
process.exit(kept.every(Boolean) ? 0 : 1);

function machine(...flags: readonly string[]): string[] {
  return ["run", ...flags, "--isolation", "vm", "hull/tiny"];
}

async function raceDocker(daemon: TestDaemon, runs: number): Promise<void> {
  // A network of its own, as machines and Hull's containers have one: each is started as its users start it.
  await using host = await newPlace();
  await using dockerd = await startDockerd(host.pid);
  await dockerd.docker(["import", "-", "tiny"], await tinyTar());
  const times = await raceCommands(
    [
      { name: "vm", command: () => daemon.command([...machine("--rm"), "true"]) },
      { name: "container", command: () => daemon.command(["run", "--rm", "hull/tiny", "true"]) },
      { name: "docker", command: () => dockerd.command(["run", "--rm", "tiny", "true"]) },
      {
        name: "docker, no network",
        command: () => dockerd.command(["run", "--rm", "--network", "none", "tiny", "true"]),
      },
    ],
    runs,
  );
  for (const [name, milliseconds] of times) console.log(`${name.padEnd(20)} ${milliseconds.toFixed(1)} ms`);
  const of = (name: string): number => times.get(name) ?? Number.NaN;
  kept.push(
    reportBound("a virtual machine against docker's container", of("vm") / of("docker"), { most: 0.5 }, "×"),
  );
}

async function startTogether(daemon: TestDaemon, count: number): Promise<void> {
  const started = performance.now();
  const results = await Promise.all(
    Array.from({ length: count }, () => daemon.hull([...machine("--rm"), "true"], { timeoutMs: 180_000 })),
  );
  const each = (performance.now() - started) / count;
  const failed = results.filter(({ code }) => code !== 0);
  console.log(`${count} at once: ${each.toFixed(0)} ms each, ${failed.length} failed`);
  for (const { stderr } of failed.slice(0, 3)) console.log(stderr);
  kept.push(reportBound("failed of those started at once", failed.length, { most: 0 }, ""));
}

async function keepIdle(daemon: TestDaemon, count: number): Promise<void> {
  const names = Array.from({ length: count }, (_, index) => `idle${index}`);
  const waiting = [...names];
  const startNext = async (): Promise<void> => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift())
      await daemon.hullOk([...machine("-d", "--name", name), "sleep", "100000"], { timeoutMs: 180_000 });
  };
  await Promise.all(Array.from({ length: 4 }, startNext));
  let answering = 0;
  for (const name of names)
    if ((await daemon.hull(["exec", name, "true"], { timeoutMs: 60_000 })).code === 0) answering += 1;
  const pids = processesOf(daemon.directory);
  const { pss } = await memoryOfProcesses(pids);
  console.log(`${count} idle: ${answering} answer, ${pids.length} processes`);
  kept.push(reportBound("of them do not answer", count - answering, { most: 0 }, ""));
  kept.push(
    reportBound("memory of an idle machine, conmon and all", pss / count / 2 ** 20, { most: 45 }, " MiB"),
  );
  for (const name of names) await daemon.hull(["rm", "-f", name], { timeoutMs: 60_000 });
}

/** QEMU's and conmon's processes of a daemon's machines: both name files of its directory, or a jail's machine. */
function processesOf(directory: string): number[] {
  const parents = new Set<number>();
  const all = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  const commandOf = (pid: string): string => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "latin1");
    } catch {
      // It has ended meanwhile.
      return "";
    }
  };
  for (const pid of all) {
    const command = commandOf(pid);
    if (command.includes("conmon\0") && command.includes(directory)) parents.add(Number(pid));
  }
  const parentOf = (pid: string): number => {
    try {
      return Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1]);
    } catch {
      return 0;
    }
  };
  const children = all.filter((pid) => parents.has(parentOf(pid)));
  return [...parents, ...children.map(Number)];
}

async function runOrThrow(command: readonly string[]): Promise<void> {
  const { code, stderr } = await runProgram(command, { cwd: projectRoot });
  if (code !== 0) throw new Error(`${command.join(" ")} ended with ${code}: ${stderr}`);
}
