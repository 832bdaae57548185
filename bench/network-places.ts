/** What benches of networks share: namespaces as places to run programs in, and what is measured between them. */
import { run, type Spawned, start } from "../src/host/spawn.ts";
import { until } from "../test/support/until.ts";
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

/** Bits per second to a server, by TCP. */
export async function throughput(way: Way, seconds: number): Promise<number> {
  const server = background(way.to, iperf("-s", "-1", "-p", String(way.port)));
  await listens(way.to, way.port);
  const client = iperf("-c", way.address, "-p", String(way.published), "-t", String(seconds), "-J");
  const report = JSON.parse(await must(inPlace(way.from, client)));
  await server.exited;
  return report.end.sum_received.bits_per_second;
}

/** Connections per second that are made, answered, and ended by the server, one after the other. */
export async function connectionRate(way: Way, seconds: number): Promise<number> {
  const accept = `
import socket
s = socket.create_server(("", ${way.port}), backlog=1024)
while True: s.accept()[0].close()`;
  const connect = `
import socket, time
count, begun = 0, time.perf_counter()
while time.perf_counter() - begun < ${seconds}:
    with socket.create_connection(("${way.address}", ${way.published})) as s: s.recv(1)
    count += 1
print(count / (time.perf_counter() - begun))`;
  const server = background(way.to, ["python3", "-c", accept]);
  try {
    await listens(way.to, way.port);
    return Number(await must(inPlace(way.from, ["python3", "-c", connect])));
  } finally {
    await end(server);
  }
}

/** The contestants in turns, so that a busy moment hits all of them; the best of each, for noise only slows down. */
export async function race(
  contestants: readonly (() => Promise<number>)[],
  rounds: number,
  better: (...figures: number[]) => number = Math.max,
): Promise<number[]> {
  const best: number[] = [];
  for (let round = 0; round < rounds; round += 1)
    for (const [index, measure] of contestants.entries()) {
      const figure = await measure();
      best[index] = better(best[index] ?? figure, figure);
    }
  return best;
}

export function gigabits(figure: number): string {
  return `${(figure / 1e9).toFixed(1)} Gbit/s`;
}
