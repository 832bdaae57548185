/**
 * The figures that Hull promises, as ratios measured in one run: starting a workload against a bare OCI runtime
 * and against Docker, the daemon's memory against Docker's, and the speed of making layers.
 *
 *   scripts/bun bench/main.ts [--runs N]
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { inPrivateMountNamespace } from "../src/host/mount-namespace.ts";
import { projectRoot, runProgram, startDaemon } from "../test/support/daemon.ts";
import { debianTar } from "../test/support/images.ts";
import { startAgainInOwnNamespaces } from "../test/support/own-namespaces.ts";
import { makeBundle } from "./bundle.ts";
import { startDockerd, unpackDockerd } from "./dockerd.ts";
import { measureLayerConversion } from "./layer-conversion.ts";
import { memoryOfProcesses, raceCommands, reportBound } from "./measure.ts";
import { tinyTar } from "./tiny-tar.ts";

// Packages come over the network, which is gone afterwards.
if (!inPrivateMountNamespace()) {
  await unpackDockerd();
  await debianTar(["g++"]);
}
// A bare crun needs what the daemon makes for itself: on hybrid hosts, a view of the control groups that crun accepts.
startAgainInOwnNamespaces();

const { values } = parseArgs({ options: { runs: { type: "string", default: "20" } } });
const runs = Number(values.runs);

const kept: boolean[] = [];
{
  // What users install: the compiled program, made from the sources as they are.
  await runOrThrow([join(projectRoot, "scripts/bun"), "scripts/build.ts"]);
  await using daemon = await startDaemon({ program: join(projectRoot, "dist/hull") });
  await using dockerd = await startDockerd();
  await using bundle = await makeBundle();
  await dockerd.docker(["import", "-", "tiny"], await tinyTar());
  await daemon.hullOk(["run", "--rm", "hull/tiny", "true"]);

  const times = await raceCommands(
    [
      { name: "crun", command: (run) => bundle.command(`bench${run}`) },
      { name: "hull", command: () => daemon.command(["run", "--rm", "hull/tiny", "true"]) },
      {
        name: "docker",
        command: () => dockerd.command(["run", "--rm", "--network", "none", "tiny", "true"]),
      },
    ],
    runs,
  );
  const [crunTime, hullTime, dockerTime] = ["crun", "hull", "docker"].map(
    (name) => times.get(name) ?? Number.NaN,
  );
  console.log(
    `true, started and removed, medians of ${runs}: ${[...times].map(([name, ms]) => `${name} ${ms.toFixed(1)} ms`).join(", ")}`,
  );
  kept.push(reportBound("hull run against crun run", Number(hullTime) / Number(crunTime), { most: 4 }, "×"));
  kept.push(
    reportBound("hull run against docker run", Number(hullTime) / Number(dockerTime), { most: 0.25 }, "×"),
  );

  // Both come to rest: what a burst of work took is given back after a few seconds.
  await Bun.sleep(10_000);
  const ours = await memoryOfProcesses([daemon.pid]);
  const theirs = await memoryOfProcesses(dockerd.pids);
  const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
  console.log(
    `idle daemons, PSS (anonymous): hull ${megabytes(ours.pss)} (${megabytes(ours.anonymous)}), dockerd + containerd ${megabytes(theirs.pss)} (${megabytes(theirs.anonymous)})`,
  );
  kept.push(
    reportBound("daemon memory against dockerd + containerd", ours.pss / theirs.pss, { most: 0.5 }, "×"),
  );
}
// With a compiler in it, Debian's root file system is a tar of some 400 MB.
const { tarBytes, seconds } = await measureLayerConversion(await debianTar(["g++"]));
console.log(
  `a layer of ${(tarBytes / 1e6).toFixed(0)} MB of tar, compressed by gzip: ${seconds.toFixed(2)} s`,
);
kept.push(
  reportBound("layer conversion, gunzip included", tarBytes / 1e6 / seconds, { least: 150 }, " MB/s of tar"),
);
process.exit(kept.every(Boolean) ? 0 : 1);

async function runOrThrow(command: readonly string[]): Promise<void> {
  const { code, stderr } = await runProgram(command, { cwd: projectRoot });
  if (code !== 0) throw new Error(`${command.join(" ")} ended with ${code}: ${stderr}`);
}
