/**
 * Published ports against Docker's: throughput and connections from another host, and from the host itself, where Docker has
 * a program that passes them on. Each daemon is on a host of its own, which is a namespace; a third one is the world. Many short
 * rounds tell more than few long ones: the standard error of each ratio is said with it.
 *
 *   scripts/bun bench/network-docker.ts [--seconds N] [--rounds N]     # needs ip, iptables
 */
import { parseArgs } from "node:util";
import { median } from "../src/compare/report.ts";
import { inPrivateMountNamespace } from "../src/host/mount-namespace.ts";
import { startDaemon } from "../test/support/daemon.ts";
import { startAgainInOwnNamespaces } from "../test/support/own-namespaces.ts";
import { startDockerd, unpackDockerd } from "./dockerd.ts";
import {
  cable,
  connectionRate,
  gigabits,
  inTurns,
  newPlace,
  reportRatio,
  throughput,
  type Unit,
  type Way,
} from "./network-places.ts";
import { unpackNetworkTools } from "./peers.ts";
import { tinyTar } from "./tiny-tar.ts";

// Packages come over the network, which is gone afterwards.
if (!inPrivateMountNamespace()) {
  await unpackDockerd();
  await unpackNetworkTools();
}
startAgainInOwnNamespaces();

const { values } = parseArgs({
  options: { seconds: { type: "string", default: "1" }, rounds: { type: "string", default: "20" } },
});
const seconds = Number(values.seconds);
const rounds = Number(values.rounds);
const port = 5201;
const flags = ["-d", "--name", "server", "-p", `${port}:${port}`];

const kept: boolean[] = [];
{
  await using world = await newPlace();
  await using dockerHost = await newPlace();
  await cable("here", world.pid, "hull-world", "198.51.100");
  await cable(dockerHost.pid, world.pid, "docker-world", "203.0.113");
  await using daemon = await startDaemon();
  await using dockerd = await startDockerd(dockerHost.pid);
  await dockerd.docker(["import", "-", "tiny"], await tinyTar());
  await daemon.hullOk(["run", ...flags, "hull/tiny", "sleep", "10000"]);
  await dockerd.docker(["run", ...flags, "tiny", "/bin/busybox", "sleep", "10000"]);
  const pid = ["inspect", "-f", "{{.State.Pid}}", "server"];
  const ours = Number(await daemon.hullOk(pid));
  const theirs = Number(await dockerd.docker(pid));

  const way = { port, published: port };
  const ways: readonly (readonly [string, Unit, Way, Way])[] = [
    [
      "from another host",
      "processor",
      { ...way, from: world.pid, to: ours, address: "198.51.100.1" },
      { ...way, from: world.pid, to: theirs, address: "203.0.113.1" },
    ],
    [
      "from 127.0.0.1",
      "clock",
      { ...way, from: "here", to: ours, address: "127.0.0.1" },
      { ...way, from: dockerHost.pid, to: theirs, address: "127.0.0.1" },
    ],
  ];
  for (const [whence, unit, hull, docker] of ways) {
    const both = [hull, docker];
    const against = (what: string): string => `published port ${whence}, ${what} against docker`;
    const [bits, bitsOfDocker] = await inTurns(
      both.map((one) => () => throughput(one, seconds, unit)),
      rounds,
    );
    const speeds = `${gigabits(bits)} and ${gigabits(bitsOfDocker)} (of the ${unit})`;
    kept.push(reportRatio(against(speeds), bits, bitsOfDocker, { least: 1 }));
    const [rate, rateOfDocker] = await inTurns(
      both.map((one) => () => connectionRate(one, seconds, unit)),
      rounds,
    );
    const rates = `${median(rate ?? []).toFixed(0)} and ${median(rateOfDocker ?? []).toFixed(0)} connections/s`;
    kept.push(reportRatio(against(rates), rate, rateOfDocker, { least: 1 }));
  }
  await dockerd.docker(["rm", "-f", "server"]);
  await daemon.hullOk(["rm", "-f", "server"]);
}
process.exit(kept.every(Boolean) ? 0 : 1);
