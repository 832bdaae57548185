/** What benches of networks share: namespaces as places to run programs in, and what is measured between them. */
import { availableParallelism } from "node:os";
import { median } from "../src/compare/report.ts";
import { run, type Spawned, start } from "../src/host/spawn.ts";
import { until } from "../test/support/until.ts";
import { reportBound } from "./measure.ts";
import { iperf } from "./peers.ts";

/** A process's network namespace, or our own. */
export type Place = number | "here";

export function inPlace(place: Place, command: readonly string[]): string[] {
  return place === "here" ? [...command] : ["nsenter", "--net", "--target", String(place), ...command];
}

export async function must(command: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await run(command);
  if (code !== 0) throw new Error(`${command.join(" ")}: ${stderr}${stdout}`);
  return stdout;
}

export interface NamedPlace extends AsyncDisposable {
  readonly pid: number;
}

/** A network namespace with a loopback interface. */
export async function newPlace(): Promise<NamedPlace> {
  const holder = background("here", ["unshare", "--net", "sleep", "10000"]);
  const { pid } = holder;
  const placeOf = async (name: string | number) => (await run(["readlink", `/proc/${name}/ns/net`])).stdout;
  const own = await placeOf("self");
  await until("the namespace is there", async () => ![own, ""].includes(await placeOf(pid)));
  await must(inPlace(pid, ["ip", "link", "set", "lo", "up"]));
  return { pid, [Symbol.asyncDispose]: () => end(holder) };
}

export function background(place: Place, command: readonly string[]): Spawned {
  return start(inPlace(place, command), { stdio: ["ignore", "ignore", "ignore"] });
}

export async function end(program: Spawned): Promise<void> {
  program.kill("SIGKILL");
  await program.exited;
}

/** A cable between two places: `NAME` in both, with the first and the second address of `network` (`198.51.100`). */
export async function cable(one: Place, other: number, name: string, network: string): Promise<void> {
  const peer = ["peer", "name", name, "netns", String(other)];
  await must(inPlace(one, ["ip", "link", "add", name, "type", "veth", ...peer]));
  for (const [place, last] of [
    [one, 1],
    [other, 2],
  ] as const) {
    await must(inPlace(place, ["ip", "addr", "add", `${network}.${last}/24`, "dev", name]));
    await must(inPlace(place, ["ip", "link", "set", name, "up"]));
  }
}

async function listens(place: Place, port: number): Promise<void> {
  await until("the server listens", async () =>
    (await run(inPlace(place, ["ss", "-ltn"]))).stdout.includes(`:${port} `),
  );
}

export interface Way {
  readonly from: Place;
  /** Where the server is, and the port that it has there. */
  readonly to: Place;
  readonly port: number;
  /** What the client asks for. */
  readonly address: string;
  readonly published: number;
}

/**
 * What a figure is for a second of. `processor`: client and server share one, so that all that a byte or a connection costs the
 * kernel adds up there, in whoever's name it is done, and what other programs take of the machine does not count. `clock`: for
 * ways that lead through another program, whose work is to count.
 */
export type Unit = "processor" | "clock";

const processor = availableParallelism() - 1;

/** Bits for each second, to a server, by TCP. */
export async function throughput(way: Way, seconds: number, unit: Unit): Promise<number> {
  const server = background(way.to, iperf("-s", "-1", "-p", String(way.port)));
  await listens(way.to, way.port);
  // With a window that grows, two programs on one processor fall into one of two rhythms, of which one takes twice the time.
  const pinned = unit === "processor" ? ["-A", `${processor},${processor}`, "-w", "128K"] : [];
  // A sender that measures what a line can take, as some hosts' default (bbr) does, measures other programs as well.
  const flags = ["-C", "cubic", "-t", String(seconds), ...pinned, "-J"];
  const client = iperf("-c", way.address, "-p", String(way.published), ...flags);
  const { end } = JSON.parse(await must(inPlace(way.from, client)));
  await server.exited;
  const { host_total, remote_total } = end.cpu_utilization_percent;
  return end.sum_received.bits_per_second / (unit === "clock" ? 1 : (host_total + remote_total) / 100);
}

/** Connections that are made, answered, and ended by the server, one after the other, for each second. */
export async function connectionRate(way: Way, seconds: number, unit: Unit): Promise<number> {
  const place = (of: Place): string => `/proc/${of === "here" ? "self" : of}/ns/net`;
  const script = `
import ctypes, os, resource, signal, socket, time
def enter(path):
    with open(path) as place:
        if ctypes.CDLL(None).setns(place.fileno(), 0) != 0: raise OSError("setns")
${unit === "processor" ? `os.sched_setaffinity(0, {${processor}})` : ""}
ready, listens = os.pipe()
server = os.fork()
if server == 0:
    enter("${place(way.to)}")
    s = socket.create_server(("", ${way.port}), backlog=1024)
    os.write(listens, b"x")
    while True: s.accept()[0].close()
os.read(ready, 1)
enter("${place(way.from)}")
count, begun = 0, time.perf_counter()
while time.perf_counter() - begun < ${seconds}:
    with socket.create_connection(("${way.address}", ${way.published})) as s: s.recv(1)
    count += 1
took = time.perf_counter() - begun
os.kill(server, signal.SIGKILL); os.wait()
used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print(count / ${unit === "clock" ? "took" : "sum(each.ru_utime + each.ru_stime for each in used)"})`;
  return Number(await must(["python3", "-c", script]));
}

/** The contestants in turns, so that a busy moment hits all of them, every other round backwards: figures, round by round. */
export async function inTurns(
  contestants: readonly (() => Promise<number>)[],
  rounds: number,
): Promise<number[][]> {
  const figures: number[][] = contestants.map(() => []);
  for (let round = 0; round < rounds; round += 1) {
    const order = [...contestants.entries()];
    for (const [index, measure] of round % 2 === 0 ? order : order.reverse())
      figures[index]?.push(await measure());
  }
  return figures;
}

/**
 * How much the first of two contestants has of the second: the median of the rounds' ratios, and its standard error, told by
 * their quartiles, so that one round that something else fell into does not make it (0.93 of their distance by the root of n).
 */
export function ratioOf(
  ours: readonly number[] = [],
  theirs: readonly number[] = [],
): { readonly ratio: number; readonly error: number } {
  const ratios = ours
    .map((figure, round) => figure / (theirs[round] ?? Number.NaN))
    .toSorted((one, other) => one - other);
  const quartile = (part: number): number => ratios[Math.round((ratios.length - 1) * part)] ?? Number.NaN;
  const error = (0.93 * (quartile(0.75) - quartile(0.25))) / Math.sqrt(ratios.length);
  return { ratio: median(ratios), error };
}

/** One line for a ratio of rounds that has a bound; returns whether the bound is kept. */
export function reportRatio(
  what: string,
  ours: readonly number[] | undefined,
  theirs: readonly number[] | undefined,
  bound: { most?: number; least?: number },
): boolean {
  const { ratio, error } = ratioOf(ours, theirs);
  return reportBound(`${what} (± ${error.toFixed(3)})`, ratio, bound, "×");
}

export function gigabits(figures: readonly number[] = []): string {
  return `${(median(figures) / 1e9).toFixed(1)} Gbit/s`;
}
