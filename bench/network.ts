/**
 * Networks against what they are made of, in namespaces of the bench's own: throughput between containers, and
 * between the host and a container, by its own address and by a published port, against a bare pair of interfaces on a bare
 * bridge; rates that workloads are limited to; the network step of a start; names against
 * aardvark-dns, and how long they are not answered when the daemon is started anew.
 *
 *   scripts/bun bench/network.ts [--seconds N] [--rounds N]     # needs ip
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { median } from "../src/compare/report.ts";
import { inPrivateMountNamespace } from "../src/host/mount-namespace.ts";
import { run, start } from "../src/host/spawn.ts";
import { projectRoot, runProgram, startDaemon } from "../test/support/daemon.ts";
import { startAgainInOwnNamespaces } from "../test/support/own-namespaces.ts";
import { until } from "../test/support/until.ts";
import { reportBound } from "./measure.ts";
import {
  gigabits,
  inPlace,
  inTurns,
  must,
  type NamedPlace,
  newPlace,
  type Place,
  reportRatio,
  throughput,
} from "./network-places.ts";
import { aardvark, unpackNetworkTools } from "./peers.ts";

if (!inPrivateMountNamespace()) await unpackNetworkTools();
startAgainInOwnNamespaces();

const { values } = parseArgs({
  options: { seconds: { type: "string", default: "1" }, rounds: { type: "string", default: "20" } },
});
const rounds = Number(values.rounds);

const seconds = Number(values.seconds);
const port = 5201;

/** Bits for each second of the processor from `from` to a server at `to`, which is reached at `address`. */
function way(from: Place, to: Place, address: string): () => Promise<number> {
  return () => throughput({ from, to, port, address, published: port }, seconds, "processor");
}

function megabits(figure: number): string {
  return `${(figure / 1e6).toFixed(0)} Mbit/s`;
}

/** Two namespaces on a bridge, made by hand on a host of its own: no rules of Hull's see its packets. */
async function bareBridge(host: NamedPlace, places: readonly NamedPlace[]): Promise<void> {
  const onHost = (...words: string[]): Promise<string> => must(inPlace(host.pid, ["ip", ...words]));
  await onHost("link", "add", "bare0", "type", "bridge");
  await onHost("addr", "add", "10.200.0.1/24", "dev", "bare0");
  await onHost("link", "set", "bare0", "up");
  for (const [index, { pid }] of places.entries()) {
    const name = `bare${index + 1}`;
    const peer = ["peer", "name", "eth0", "netns", String(pid)];
    await onHost("link", "add", name, "type", "veth", ...peer);
    await onHost("link", "set", name, "master", "bare0", "up");
    await must(inPlace(pid, ["ip", "addr", "add", `10.200.0.${index + 2}/24`, "dev", "eth0"]));
    await must(inPlace(pid, ["ip", "link", "set", "eth0", "up"]));
  }
}

/** Milliseconds without an answer while `interrupt` goes on: the longest time between two that came. */
async function gapInAnswers(
  from: Place,
  server: string,
  name: string,
  interrupt: () => Promise<void>,
): Promise<number> {
  const script = `
import socket, time
q = b"\\x12\\x34\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0" + bytes([${name.length}]) + b"${name}" + b"\\0\\0\\1\\0\\1"
last, gap, begun = None, 0, time.time()
while time.time() - begun < 3:
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(0.005); s.connect(("${server}", 53))
    try: s.send(q); answered = s.recv(512)[7] > 0
    except OSError: answered = False; time.sleep(0.001)
    s.close()
    if answered:
        now = time.time()
        if last is not None: gap = max(gap, now - last)
        last = now
print(gap * 1000)`;
  const asking = start(inPlace(from, ["python3", "-c", script]), { stdio: ["ignore", "pipe", "ignore"] });
  await Bun.sleep(500);
  await interrupt();
  await asking.exited;
  if (!(asking.stdout instanceof ReadableStream)) throw new Error("there is no output to read");
  return Number(await new Response(asking.stdout).text());
}

/** Median microseconds of asking a resolver for an address, one question after the other. */
async function lookUpTime(from: Place, server: string, name: string): Promise<number> {
  const labels = name
    .split(".")
    .map((label) => `bytes([${label.length}])+b"${label}"`)
    .join("+");
  const script = `
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(2); s.connect(("${server}", 53))
q = b"\\x12\\x34\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0" + ${labels} + b"\\0\\0\\1\\0\\1"
times = []
for _ in range(3000):
    t = time.perf_counter(); s.send(q); r = s.recv(512); times.append(time.perf_counter() - t)
    assert r[7] > 0, "no answer"
print(sorted(times)[1500] * 1e6)`;
  return Number(await must(inPlace(from, ["python3", "-c", script])));
}

const kept: boolean[] = [];
{
  // What users install: the compiled program, made from the sources as they are.
  const { code, stderr } = await runProgram([join(projectRoot, "scripts/bun"), "scripts/build.ts"], {
    cwd: projectRoot,
  });
  if (code !== 0) throw new Error(stderr);
  await using first = await newPlace();
  await using second = await newPlace();
  await using apart = await newPlace();
  await bareBridge(apart, [first, second]);
  const [bareOne, bareTwo] = [first.pid, second.pid];
  await using daemon = await startDaemon({
    program: join(projectRoot, "dist/hull"),
    config: { logLevel: "debug" },
  });
  const sleeper = ["hull/tiny", "sleep", "10000"];
  await daemon.hullOk(["run", "-d", "--name", "one", "-p", "5201:5201", ...sleeper]);
  await daemon.hullOk(["run", "-d", "--name", "two", ...sleeper]);
  const inspect = (name: string, what: string): Promise<string> =>
    daemon.hullOk(["inspect", "-f", `{{${what}}}`, name]);
  const [one, two] = [Number(await inspect("one", ".State.Pid")), Number(await inspect("two", ".State.Pid"))];
  const address = await inspect("one", ".NetworkSettings.IPAddress");
  const otherAddress = await inspect("two", ".NetworkSettings.IPAddress");

  const [bareBetween, hullBetween] = await inTurns(
    [way(bareTwo, bareOne, "10.200.0.2"), way(two, one, address)],
    rounds,
  );
  const [bareHost, hullHost, publishedHost] = await inTurns(
    [way(apart.pid, bareOne, "10.200.0.2"), way("here", one, address), way("here", one, "127.0.0.1")],
    rounds,
  );
  console.log(`bare bridge: between ${gigabits(bareBetween)}, from the host ${gigabits(bareHost)}`);
  kept.push(
    reportRatio(`container to container, ${gigabits(hullBetween)}`, hullBetween, bareBetween, {
      least: 0.95,
    }),
    reportRatio(`host to container, ${gigabits(hullHost)}`, hullHost, bareHost, { least: 0.95 }),
    reportRatio(`published port from 127.0.0.1, ${gigabits(publishedHost)}`, publishedHost, bareHost, {
      least: 0.85,
    }),
  );

  await daemon.hullOk(["update", "--egress-rate", "200mbit", "--ingress-rate", "100mbit", "two"]);
  const limited = [
    await throughput({ from: two, to: one, port, address, published: port }, 3, "clock"),
    await throughput({ from: one, to: two, port, address: otherAddress, published: port }, 3, "clock"),
  ];
  for (const [index, rate] of [200e6, 100e6].entries()) {
    const figure = limited[index] ?? 0;
    const what = `${index === 0 ? "sent" : "received"} at ${megabits(rate)} at most, ${megabits(figure)}`;
    kept.push(reportBound(what, figure / rate, { least: 0.8 }, "× of the rate"));
    kept.push(reportBound("and not more than that", figure / rate, { most: 1.1 }, "× of the rate"));
  }
  await daemon.hullOk(["update", "--egress-rate", "unlimited", "--ingress-rate", "unlimited", "two"]);

  for (let count = 0; count < 25; count += 1) await daemon.hullOk(["run", "--rm", "hull/tiny", "true"]);
  const steps = [...daemon.log.matchAll(/"step":"start:network","milliseconds":([\d.]+)/g)];
  const times = steps.map(([, time]) => Number(time)).slice(-25);
  console.log(`network step of a start: median ${median(times).toFixed(1)} ms`);
  // Making interfaces takes a lock that all of the machine's namespaces share: the others' work is not to be measured.
  kept.push(reportBound("network step of a start (best of 25)", Math.min(...times), { most: 5 }, " ms"));

  const ours = await lookUpTime(two, "172.17.0.1", "one");
  console.log(`a name from a container: ${ours.toFixed(0)} µs`);
  const theirs = await aardvarkTime(apart.pid, bareTwo);
  kept.push(reportBound("name against aardvark-dns", ours / theirs, { most: 1.5 }, "×"));
  for (const [what, interrupt] of [
    ["is started anew", () => daemon.restart()],
    ["was killed and is started at once", () => daemon.kill9().then(() => daemon.start())],
  ] as const) {
    const gap = await gapInAnswers(two, "172.17.0.1", "one", interrupt);
    console.log(`names are not answered while the daemon ${what}: ${gap.toFixed(0)} ms`);
  }
  await daemon.hullOk(["rm", "-f", "one", "two"]);
}
process.exit(kept.every(Boolean) ? 0 : 1);

/** The same from a namespace of the bare bridge to Podman's resolver on the bridge's address. */
async function aardvarkTime(host: Place, from: Place): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), "aardvark-"));
  const id = "a".repeat(64);
  writeFileSync(join(directory, "bench"), `10.200.0.1\n${id} 10.200.0.2  one\n`);
  const server = start(inPlace(host, [aardvark, "-c", directory, "-p", "53", "run"]), {
    stdio: ["ignore", "ignore", "ignore"],
  });
  try {
    await until("aardvark-dns listens", async () =>
      (await run(inPlace(host, ["ss", "-lun"]))).stdout.includes("10.200.0.1:53 "),
    );
    return await lookUpTime(from, "10.200.0.1", "one");
  } finally {
    const pid = Number(readFileSync(join(directory, "aardvark.pid"), "utf8").trim() || server.pid);
    process.kill(pid, "SIGKILL");
    await server.exited;
    rmSync(directory, { recursive: true, force: true });
  }
}
