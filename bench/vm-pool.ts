/**
 * What a machine that waited saves, with the warm pool and without, in turns, by two daemons on one machine, while no machine is
 * being made for the pool:
 *
 * - `first exec`: from the create request to the answer of the first exec, of `run -d` and `exec true`, through the daemon's API
 * - `run --rm true`: from the create request until the workload has gone, through the API
 * - `the command`: `hull run --rm --isolation vm hull/tiny true`, the whole of it; and `docker run --rm` of the same image in turn
 *
 *   scripts/bun bench/vm-pool.ts [ROUNDS] [--built]
 *
 * `--built` uses dist/hull as it is instead of building it.
 */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { median } from "../src/compare/report.ts";
import { inPrivateMountNamespace } from "../src/host/mount-namespace.ts";
import { connect, type Hull } from "../src/sdk/main.ts";
import { projectRoot, runProgram, startDaemon, type TestDaemon } from "../test/support/daemon.ts";
import { startAgainInOwnNamespaces } from "../test/support/own-namespaces.ts";
import { until } from "../test/support/until.ts";
import { startDockerd, unpackDockerd } from "./dockerd.ts";
import { reportBound } from "./measure.ts";
import { newPlace } from "./network-places.ts";
import { tinyTar } from "./tiny-tar.ts";

// Packages come over the network, which is gone afterwards.
if (!inPrivateMountNamespace()) await unpackDockerd();
startAgainInOwnNamespaces();

const { values, positionals } = parseArgs({
  options: { built: { type: "boolean", default: false } },
  allowPositionals: true,
});
const rounds = Number(positionals[0] ?? 10);
const isolation = "vm";
const image = "hull/tiny";
const command = ["run", "--rm", "--isolation", isolation, image, "true"];
/** Milliseconds: a template is made, or a machine for the pool. */
const patience = 180_000;

if (!values.built) {
  const { code, stderr } = await runProgram([join(projectRoot, "scripts/bun"), "scripts/build.ts"]);
  if (code !== 0) throw new Error(stderr);
}
const program = join(projectRoot, "dist/hull");
await using pooled = await startDaemon({ program, config: { logLevel: "debug", vm: { pool: 1 } } });
await using plain = await startDaemon({ program, config: { logLevel: "debug" } });

await using host = await newPlace();
await using dockerd = await startDockerd(host.pid);
await dockerd.docker(["import", "-", "tiny"], await tinyTar());

const figures: Readonly<Record<string, (daemon: TestDaemon, hull: Hull) => Promise<void>>> = {
  "first exec": async (_, hull) => {
    const box = await hull.run({ image, isolation, command: ["sleep", "1000"] });
    await box.exec(["true"]);
  },
  "run --rm true": async ({ socket }, hull) => {
    const { Id: id } = await hull.containers.create({
      Image: image,
      Cmd: ["true"],
      HostConfig: { Isolation: isolation, AutoRemove: true },
    });
    using other = connect({ socket });
    const exit = await other.containers.watchExit(id, "removed");
    await hull.containers.start(id);
    await exit.result;
  },
  "the command": async (daemon) => void (await daemon.hullOk(command, { timeoutMs: patience })),
};

/** One with the image's root; a machine is noted from before it is made until it is taken. */
function isWaiting(): boolean {
  const places = join(pooled.state, "pool");
  if (!existsSync(places)) return false;
  const ready = pooled.log
    .split("\n")
    .filter((line) => line.includes("a virtual machine waits for an image") && line.includes('"layers":'));
  return readdirSync(places).some((id) => ready.some((line) => line.includes(id)));
}

async function measure(daemon: TestDaemon, figure: (typeof figures)[string]): Promise<number> {
  await until("a machine waits with the image's root", isWaiting, patience);
  using hull = connect({ socket: daemon.socket });
  await hull.containers.list({});
  const begin = performance.now();
  await figure(daemon, hull);
  const took = performance.now() - begin;
  for (const { Id: id } of await hull.containers.list({ all: true }))
    await hull.containers.remove(id, { force: true, volumes: true });
  return took;
}

async function measureDocker(): Promise<number> {
  const begin = performance.now();
  await dockerd.docker(["run", "--rm", "tiny", "true"]);
  return performance.now() - begin;
}

const contestants = [pooled, plain];
for (let start = 0; start < 2; start++)
  for (const daemon of contestants) await daemon.hullOk(command, { timeoutMs: patience });
for (const daemon of contestants)
  await until("the image's template", () => daemon.log.includes("with the root of an image"), patience);
for (const [name, figure] of Object.entries(figures)) {
  const samples = contestants.map((): number[] => []);
  const ofDocker: number[] = [];
  for (let round = -1; round < rounds; round += 1) {
    for (const [index, daemon] of contestants.entries()) {
      const took = await measure(daemon, figure);
      if (round >= 0) samples[index]?.push(took);
    }
    if (name === "the command" && round >= 0) ofDocker.push(await measureDocker());
  }
  for (const [of, title] of [
    [median, name],
    [(all: readonly number[]) => Math.min(...all), "  least"],
  ] as const) {
    const [pool = Number.NaN, template = Number.NaN] = samples.map(of);
    const ratio = (pool / template).toFixed(2);
    console.log(
      `${title.padEnd(14)} pool ${pool.toFixed(0)} ms, template ${template.toFixed(0)} ms, ratio ${ratio}`,
    );
  }
  if (ofDocker.length === 0) continue;
  const [pool = Number.NaN, template = Number.NaN] = samples.map(median);
  const docker = median(ofDocker);
  console.log(`${"".padEnd(14)} docker ${docker.toFixed(0)} ms`);
  // Figure 1 is bound by half of docker's time; with a machine that waits, by 0.6 of that.
  reportBound(
    "a machine from its template against docker's container",
    template / docker,
    { most: 0.5 },
    "×",
  );
  reportBound("a machine that waited against docker's container", pool / docker, { most: 0.3 }, "×");
}
