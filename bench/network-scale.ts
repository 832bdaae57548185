/**
 * Networks in numbers, on both walls: starts at once, a daemon killed amid them, networks and ports by the hundred, and what of
 * it a firewall flushes. Nothing has a time limit; it ends with 1 when a start fails, two workloads have one address, what was
 * taken away does not come back, or anything is left behind.
 *
 *   scripts/bun bench/network-scale.ts [--starts N] [--machines N] [--networks N] [--ports N]
 */
import { parseArgs } from "node:util";
import * as v from "valibot";
import { run } from "../src/host/spawn.ts";
import { startDaemon, type TestDaemon } from "../test/support/daemon.ts";
import { startAgainInOwnNamespaces } from "../test/support/own-namespaces.ts";
import { until } from "../test/support/until.ts";

startAgainInOwnNamespaces();

const { values } = parseArgs({
  options: {
    starts: { type: "string", default: "200" },
    machines: { type: "string", default: "8" },
    networks: { type: "string", default: "500" },
    ports: { type: "string", default: "1000" },
  },
});
const starts = Number(values.starts);
const machines = Number(values.machines);
const networks = Number(values.networks);
const ports = Number(values.ports);
/** Of one workload. */
const networksOfOne = 20;
const patience = 600_000;

const memberSchema = v.looseObject({ Name: v.string(), IPv4Address: v.string() });
const networkSchema = v.tuple([v.looseObject({ Containers: v.record(v.string(), memberSchema) })]);
const createdSchema = v.looseObject({ Id: v.string() });

let troubles = 0;

function trouble(what: string): void {
  troubles += 1;
  console.log(`WRONG ${what}`);
}

async function timed<T>(what: string, work: () => Promise<T>): Promise<T> {
  const begun = performance.now();
  const result = await work();
  console.log(`${what}: ${((performance.now() - begun) / 1000).toFixed(2)} s`);
  return result;
}

/** Through the API: two hundred clients at once would measure the clients. */
async function post(daemon: TestDaemon, path: string, body: unknown): Promise<unknown> {
  const answer = await fetch(`http://hull${path}`, {
    unix: daemon.socket,
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(patience),
    keepalive: false,
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${text.trim()}`);
  return text === "" ? undefined : JSON.parse(text);
}

/** Starts that were answered. */
let started = 0;

async function startOne(daemon: TestDaemon, name: string, settings: object): Promise<void> {
  const body = { Image: "hull/tiny", Cmd: ["sleep", "100000"], ...settings };
  const { Id } = v.parse(createdSchema, await post(daemon, `/containers/create?name=${name}`, body));
  await post(daemon, `/containers/${Id}/start`, {});
  started += 1;
}

function startCrowd(daemon: TestDaemon, name: string): Promise<PromiseSettledResult<void>[]> {
  return Promise.allSettled(
    Array.from({ length: starts }, (_, index) => {
      const Isolation = index < machines ? "vm" : "container";
      return startOne(daemon, `${name}-${Isolation}-${index}`, {
        HostConfig: { Isolation, NetworkMode: "crowd" },
      });
    }),
  );
}

async function cables(): Promise<number> {
  return (await run(["ip", "-o", "link"])).stdout.match(/^\d+: hv/gm)?.length ?? 0;
}

/** What the daemon says of the crowd's network has to be what is there; resolves to how many are on it. */
async function checkCrowd(daemon: TestDaemon): Promise<number> {
  const [{ Containers }] = v.parse(
    networkSchema,
    JSON.parse(await daemon.hullOk(["network", "inspect", "crowd"])),
  );
  const members = Object.values(Containers);
  const addresses = new Set(members.map(({ IPv4Address }) => IPv4Address));
  if (addresses.size !== members.length)
    trouble(`${members.length} workloads have ${addresses.size} addresses`);
  if (members.length === 0) return 0;
  const running = new Map(
    (await daemon.hullOk(["inspect", "-f", "{{.Name}} {{.State.Pid}}", ...members.map(({ Name }) => Name)]))
      .split("\n")
      .map((line) => line.replace(/^\//, "").split(" "))
      .map(([name = "", pid = "0"]) => [name, pid] as const),
  );
  for (const { Name, IPv4Address } of members) {
    const pid = running.get(Name) ?? "0";
    if (pid === "0") trouble(`${Name} is on the network and does not run`);
    else if (Name.includes("container")) {
      const inside = ["nsenter", "--net", "--target", pid, "ip", "-4", "-o", "addr", "show", "eth0"];
      const { stdout } = await run(inside);
      if (!stdout.includes(`inet ${IPv4Address} `)) trouble(`${Name} is at ${IPv4Address} and has ${stdout}`);
    }
  }
  await eventually(`${members.length} cables`, async () => (await cables()) === members.length);
  return members.length;
}

async function eventually(what: string, check: () => Promise<boolean>): Promise<void> {
  try {
    await until(what, check, 60_000);
  } catch {
    trouble(`there never were ${what}`);
  }
}

async function removeAll(daemon: TestDaemon): Promise<void> {
  const ids = (await daemon.hullOk(["ps", "-aq"])).split("\n").filter((id) => id !== "");
  if (ids.length > 0) await daemon.hullOk(["rm", "-f", ...ids], { timeoutMs: patience });
  await eventually("no cables", async () => (await cables()) === 0);
}

async function startsAtOnce(daemon: TestDaemon): Promise<void> {
  const results = await timed(`${starts} starts at once, ${machines} of them machines`, () =>
    startCrowd(daemon, "first"),
  );
  for (const result of results) if (result.status === "rejected") trouble(String(result.reason));
  if ((await checkCrowd(daemon)) !== starts) trouble("not all of them are on the network");
  await timed(`${starts} removed`, () => removeAll(daemon));
}

/** Whoever was answered runs on; of the others nothing is in the way of a new try. */
async function killedAmidStarts(daemon: TestDaemon): Promise<void> {
  started = 0;
  const crowd = startCrowd(daemon, "second");
  await until("a third of them runs", async () => started > starts / 3, patience);
  await daemon.kill9();
  await crowd;
  await timed("the next daemon answers", () => daemon.start());
  const left = await checkCrowd(daemon);
  console.log(`killed amid ${starts} starts: ${started} were answered, ${left} run`);
  if (left < started) trouble(`${started - left} that were started are gone`);
  await daemon.hullOk(["run", "--rm", "--network", "crowd", "hull/tiny", "true"]);
  await removeAll(daemon);
}

async function manyNetworks(daemon: TestDaemon): Promise<void> {
  const names = Array.from({ length: networks }, (_, index) => `many-${index}`);
  await timed(`${networks} networks made`, async () => {
    for (const Name of names) await post(daemon, "/networks/create", { Name });
  });
  const groups = Array.from({ length: Math.ceil(networks / networksOfOne) }, (_, index) =>
    names.slice(index * networksOfOne, (index + 1) * networksOfOne),
  );
  await timed(`${groups.length} workloads started on ${networksOfOne} of them each`, () =>
    Promise.all(
      groups.map((group, index) =>
        startOne(daemon, `on-many-${index}`, {
          HostConfig: { NetworkMode: group[0] },
          NetworkingConfig: { EndpointsConfig: Object.fromEntries(group.map((name) => [name, {}])) },
        }),
      ),
    ),
  );
  const asks = (): Promise<string> =>
    daemon.hullOk([
      "run",
      "--rm",
      "--network",
      `many-${networks - 1}`,
      "hull/tiny",
      "nslookup",
      `on-many-${groups.length - 1}`,
    ]);
  await timed("a workload more, which asks for a name", asks);
  await timed("the daemon starts again", () => daemon.restart());
  await run(["nft", "flush", "ruleset"]);
  await run(["ip", "link", "delete", await bridgeOf(daemon, `many-${networks - 1}`)]);
  await timed("rules flushed and a bridge deleted, and a name is known again", () =>
    eventually("names on a bridge that was made again", async () => {
      const said = await daemon.hull([
        "exec",
        `on-many-${groups.length - 1}`,
        "nslookup",
        `on-many-${groups.length - 1}`,
      ]);
      return said.code === 0 && (await run(["nft", "list", "tables"])).stdout.includes("inet hull-");
    }),
  );
  await asks();
  await timed("workloads removed", () => removeAll(daemon));
  await timed(`${networks} networks pruned`, () =>
    daemon.hullOk(["network", "prune", "-f"], { timeoutMs: patience }),
  );
}

function bridgeOf(daemon: TestDaemon, name: string): Promise<string> {
  return daemon.hullOk(["network", "inspect", "-f", "{{.Id}}", name]).then((id) => `hull-${id.slice(0, 10)}`);
}

async function answers(port: number): Promise<boolean> {
  try {
    return (await fetch(`http://127.0.0.1:${port}/hostname`, { signal: AbortSignal.timeout(2000) })).ok;
  } catch {
    return false;
  }
}

async function manyPorts(daemon: TestDaemon): Promise<void> {
  const server = { Cmd: ["httpd", "-f", "-p", "80", "-h", "/etc"] };
  const last = 20_000 + ports - 1;
  const range = Object.fromEntries(
    Array.from({ length: ports }, (_, index) => [`${index + 80}/tcp`, [{ HostPort: String(last - index) }]]),
  );
  await timed(`a workload with ${ports} published ports starts`, () =>
    startOne(daemon, "wide", { ...server, HostConfig: { PortBindings: range } }),
  );
  const one = (index: number) => ({ "80/tcp": [{ HostPort: String(30_000 + index) }] });
  await timed("50 more with one port each start at once", () =>
    Promise.all(
      Array.from({ length: 50 }, (_, index) =>
        startOne(daemon, `narrow-${index}`, { ...server, HostConfig: { PortBindings: one(index) } }),
      ),
    ).then(() => undefined),
  );
  const all = async (): Promise<boolean> => (await answers(last)) && (await answers(30_049));
  await eventually("answers on published ports", all);
  await timed("the daemon starts again", () => daemon.restart());
  await run(["nft", "flush", "ruleset"]);
  await timed("rules flushed, and ports answer again", () => eventually("answers after a flush", all));
  await timed("workloads removed", () => removeAll(daemon));
}

{
  await using daemon = await startDaemon();
  await daemon.hullOk(["network", "create", "crowd"]);
  // Makes the template of machines.
  if (machines > 0)
    await daemon.hullOk(["run", "--rm", "--isolation", "vm", "hull/tiny", "true"], { timeoutMs: patience });
  await startsAtOnce(daemon);
  await killedAmidStarts(daemon);
  await manyNetworks(daemon);
  await manyPorts(daemon);
}
const left = (await run(["ip", "-o", "link"])).stdout.trim().split("\n");
const rules = (await run(["nft", "list", "ruleset"])).stdout;
if (left.length !== 1 || rules !== "") trouble(`left behind: ${left.join("; ")} ${rules}`);
console.log(troubles === 0 ? "nothing was wrong" : `${troubles} things were wrong`);
process.exit(troubles === 0 ? 0 : 1);
