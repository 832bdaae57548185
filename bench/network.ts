/**
 * Networks against what they are made of, in namespaces of the bench's own: throughput between containers, and
 * between the host and a container, against a bare pair of interfaces on a bare bridge; a published port against
 * the same container's own address; the network step of a start; names against aardvark-dns.
 *
 *   scripts/bun bench/network.ts [--seconds N] [--rounds N]     # needs iperf3 and ip; aardvark-dns if it is there
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { median } from "../src/compare/report.ts";
import { run, start } from "../src/host/spawn.ts";
import { startDaemon } from "../test/support/daemon.ts";
import { startAgainInOwnNamespaces } from "../test/support/own-namespaces.ts";
import { until } from "../test/support/until.ts";
import { reportBound } from "./measure.ts";

startAgainInOwnNamespaces();

const { values } = parseArgs({
  options: { seconds: { type: "string", default: "2" }, rounds: { type: "string", default: "3" } },
});
const rounds = Number(values.rounds);

/** A place to run programs in: a process's network namespace, or our own. */
type Place = number | "here";

function inPlace(place: Place, command: readonly string[]): string[] {
  return place === "here" ? [...command] : ["nsenter", "--net", "--target", String(place), ...command];
}

async function must(command: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await run(command);
  if (code !== 0) throw new Error(`${command.join(" ")}: ${stderr}${stdout}`);
  return stdout;
}

let nextPort = 6000;

/** Bits per second from `from` to a server at `to`, which is reached at `address`. */
async function throughput(from: Place, to: Place, address: string, published?: number): Promise<number> {
  const port = published === undefined ? nextPort++ : 5201;
  const server = start(inPlace(to, ["iperf3", "-s", "-1", "-p", String(port)]), {
    stdio: ["ignore", "ignore", "ignore"],
  });
  await until("iperf3 listens", async () =>
    (await run(inPlace(to, ["ss", "-ltn"]))).stdout.includes(`:${port} `),
  );
  const target = String(published ?? port);
  const client = ["iperf3", "-c", address, "-p", target, "-t", values.seconds, "-J"];
  const report = JSON.parse(await must(inPlace(from, client)));
  await server.exited;
  return report.end.sum_received.bits_per_second;
}

/** The contestants in turns, so that a busy moment hits all of them; the best of each, for noise only slows down. */
async function race(contestants: readonly (() => Promise<number>)[]): Promise<number[]> {
  const best = contestants.map(() => 0);
  for (let round = 0; round < rounds; round += 1)
    for (const [index, measure] of contestants.entries())
      best[index] = Math.max(best[index] ?? 0, await measure());
  return best;
}

function gigabits(figure: number): string {
  return `${(figure / 1e9).toFixed(1)} Gbit/s`;
}

/** Two namespaces on a bridge, made by hand. */
async function bareBridge(): Promise<{ readonly pids: number[] } & AsyncDisposable> {
  const holders = [0, 1].map(() =>
    start(["unshare", "--net", "sleep", "10000"], { stdio: ["ignore", "ignore", "ignore"] }),
  );
  const pids = holders.map(({ pid }) => pid);
  await must(["ip", "link", "add", "bare0", "type", "bridge"]);
  await must(["ip", "addr", "add", "10.200.0.1/24", "dev", "bare0"]);
  await must(["ip", "link", "set", "bare0", "up"]);
  for (const [index, pid] of pids.entries()) {
    await until("the namespace is there", async () => {
      const [own, theirs] = await Promise.all(
        ["self", pid].map((name) => run(["readlink", `/proc/${name}/ns/net`])),
      );
      return own?.stdout !== theirs?.stdout;
    });
    await must([
      "ip",
      "link",
      "add",
      `bare${index + 1}`,
      "type",
      "veth",
      "peer",
      "name",
      "eth0",
      "netns",
      String(pid),
    ]);
    await must(["ip", "link", "set", `bare${index + 1}`, "master", "bare0", "up"]);
    await must(inPlace(pid, ["ip", "addr", "add", `10.200.0.${index + 2}/24`, "dev", "eth0"]));
    await must(inPlace(pid, ["ip", "link", "set", "eth0", "up"]));
  }
  return {
    pids,
    async [Symbol.asyncDispose]() {
      for (const holder of holders) {
        holder.kill();
        await holder.exited;
      }
      await run(["ip", "link", "delete", "bare0"]);
    },
  };
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
  await using bare = await bareBridge();
  await using daemon = await startDaemon({ config: { logLevel: "debug" } });
  const sleeper = ["hull/tiny", "sleep", "10000"];
  await daemon.hullOk(["run", "-d", "--name", "one", "-p", "5201:5201", ...sleeper]);
  await daemon.hullOk(["run", "-d", "--name", "two", ...sleeper]);
  const inspect = (name: string, what: string): Promise<string> =>
    daemon.hullOk(["inspect", "-f", `{{${what}}}`, name]);
  const [one, two] = [Number(await inspect("one", ".State.Pid")), Number(await inspect("two", ".State.Pid"))];
  const address = await inspect("one", ".NetworkSettings.IPAddress");
  const [bareOne = 0, bareTwo = 0] = bare.pids;

  const between = await race([
    () => throughput(bareTwo, bareOne, "10.200.0.2"),
    () => throughput(two, one, address),
  ]);
  const fromHost = await race([
    () => throughput("here", bareOne, "10.200.0.2"),
    () => throughput("here", one, address),
    () => throughput("here", one, "127.0.0.1", 5201),
  ]);
  const [bareBetween = 0, hullBetween = 0] = between;
  const [bareHost = 0, hullHost = 0, publishedHost = 0] = fromHost;
  console.log(`bare bridge: between ${gigabits(bareBetween)}, from the host ${gigabits(bareHost)}`);
  kept.push(
    reportBound(
      `container to container, ${gigabits(hullBetween)}`,
      hullBetween / bareBetween,
      { least: 0.95 },
      "×",
    ),
    reportBound(`host to container, ${gigabits(hullHost)}`, hullHost / bareHost, { least: 0.95 }, "×"),
    reportBound(
      `published port, ${gigabits(publishedHost)}`,
      publishedHost / hullHost,
      { least: 0.9 },
      "× of direct",
    ),
  );

  for (let count = 0; count < 25; count += 1) await daemon.hullOk(["run", "--rm", "hull/tiny", "true"]);
  const steps = [...daemon.log.matchAll(/"step":"start:network","milliseconds":([\d.]+)/g)];
  const times = steps.map(([, time]) => Number(time)).slice(-25);
  console.log(`network step of a start: median ${median(times).toFixed(1)} ms`);
  // Making interfaces takes a lock that all of the machine's namespaces share: the others' work is not to be measured.
  kept.push(reportBound("network step of a start (best of 25)", Math.min(...times), { most: 5 }, " ms"));

  const ours = await lookUpTime(two, "172.17.0.1", "one");
  console.log(`a name from a container: ${ours.toFixed(0)} µs`);
  if (Bun.which("aardvark-dns", { PATH: "/usr/lib/podman:/usr/libexec/podman" }) !== null) {
    const theirs = await aardvarkTime(bareTwo);
    kept.push(reportBound("name against aardvark-dns", ours / theirs, { most: 1.5 }, "×"));
  }
  await daemon.hullOk(["rm", "-f", "one", "two"]);
}
process.exit(kept.every(Boolean) ? 0 : 1);

/** The same from a namespace of the bare bridge to Podman's resolver on the bridge's address. */
async function aardvarkTime(from: Place): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), "aardvark-"));
  const id = "a".repeat(64);
  writeFileSync(join(directory, "bench"), `10.200.0.1\n${id} 10.200.0.2  one\n`);
  const program = Bun.which("aardvark-dns", { PATH: "/usr/lib/podman:/usr/libexec/podman" }) ?? "";
  const server = start([program, "-c", directory, "-p", "53", "run"], {
    stdio: ["ignore", "ignore", "ignore"],
  });
  try {
    await until("aardvark-dns listens", async () =>
      (await run(["ss", "-lun"])).stdout.includes("10.200.0.1:53 "),
    );
    return await lookUpTime(from, "10.200.0.1", "one");
  } finally {
    const pid = Number(readFileSync(join(directory, "aardvark.pid"), "utf8").trim() || server.pid);
    process.kill(pid, "SIGKILL");
    await server.exited;
    rmSync(directory, { recursive: true, force: true });
  }
}
