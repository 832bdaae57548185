/** What a workload may reach, and how fast: enforced outside it, on both walls. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { WallKind } from "../../src/contract/isolation.ts";
import { run, type Spawned, start } from "../../src/host/spawn.ts";
import { startDaemon, type TestDaemon } from "../support/daemon.ts";
import { framesProgram } from "../support/frames-program.ts";
import { OutsideWorld, world } from "../support/outside-world.ts";
import { testTimeout, walls } from "../support/scenario.ts";
import { until } from "../support/until.ts";

let daemon: TestDaemon;
const outside = new OutsideWorld();
let hostServer: Spawned;
let tools: string[];
const [web, otherWeb] = world.web;

beforeAll(async () => {
  daemon = await startDaemon();
  await outside.open();
  hostServer = start(
    ["python3", "-m", "http.server", "9998", "--bind", "0.0.0.0", "--directory", "/proc/sys/kernel"],
    {
      stdio: ["ignore", "ignore", "ignore"],
    },
  );
  tools = await framesProgram(daemon);
  await daemon.hullOk(["network", "create", "--ipv6", "lab"]);
  await runWeb("container", "neighbour");
}, testTimeout);
afterAll(async () => {
  hostServer.kill("SIGKILL");
  await hostServer.exited;
  await outside[Symbol.asyncDispose]();
  await daemon[Symbol.asyncDispose]();
}, testTimeout);

async function runWeb(wall: WallKind, name: string, ...flags: readonly string[]): Promise<void> {
  const common = ["--isolation", wall, "--name", name, "--network", "lab", "--dns", world.resolver, ...tools];
  const server = ["httpd", "-f", "-p", "80", "-h", "/etc"];
  await daemon.hullOk(["run", "-d", ...common, ...flags, "hull/tiny", ...server]);
  await until(`${name} listens`, async () =>
    (await daemon.hull(["exec", name, "netstat", "-ltn"])).stdout.includes(":80 "),
  );
}

/** Those of the places that answer; all are asked in one go, for an exec in a machine takes its time. */
async function reached(name: string, places: readonly string[]): Promise<string[]> {
  const asking = places.map(
    (place) =>
      `timeout 6 wget -qO- http://${place}/ >/dev/null 2>&1 || timeout 6 wget -qO- http://${place}/hostname >/dev/null 2>&1 && echo ${place}`,
  );
  const { stdout } = await daemon.hull(["exec", name, "sh", "-c", asking.join("; ")]);
  return stdout.split("\n").filter((line) => line !== "");
}

async function annotationsOf(name: string): Promise<unknown> {
  return JSON.parse(await daemon.hullOk(["inspect", "-f", "{{json .HostConfig.Annotations}}", name]));
}

for (const wall of walls)
  describe(`policy, ${wall} wall`, () => {
    const name = (base: string): string => `${base}-${wall}`;

    test(
      "a workload with a list reaches what is on it, by name and by address, and nothing else",
      async () => {
        const box = name("caged");
        const port = wall === "vm" ? "18402" : "18401";
        const list = [`one.example:${web}`, "*.pool.example", `${world.two}:${otherWeb}/tcp`, "198.51.100.7"];
        await runWeb(wall, box, "-p", `${port}:80`, ...list.flatMap((word) => ["--egress-allow", word]));
        expect(await annotationsOf(box)).toEqual({ "hull.egress.allow": list.join(",") });
        const gateway = await daemon.hullOk([
          ...["inspect", "-f", '{{(index .NetworkSettings.Networks "lab").Gateway}}', box],
        ]);

        // Before its name was asked for, an address is nobody's.
        const addresses = [`${world.one}:${web}`, `${world.two}:${web}`, `${world.two}:${otherWeb}`];
        expect(await reached(box, addresses)).toEqual([`${world.two}:${otherWeb}`]);
        const allowed = [`one.example:${web}`, `a.pool.example:${otherWeb}`, `six.pool.example:${web}`];
        const refused = [
          ...[`one.example:${otherWeb}`, `two.example:${web}`, "pool.example", `${world.two}:${web}`],
          ...[
            `[${world.otherSix}]:${web}`,
            `rebound.pool.example:9998`,
            `${world.host}:9998`,
            `${gateway}:9998`,
          ],
          ...["host.docker.internal:9998", `${gateway}:${port}`],
        ];
        expect(await reached(box, [...refused, ...allowed])).toEqual(allowed);
        // Neighbours are not beyond the network, and who may ask it may be answered.
        expect(await reached(box, ["neighbour"])).toEqual(["neighbour"]);
        expect(await reached("neighbour", [box])).toEqual([box]);
        expect(await outside.run("wget", "-T4", "-qO-", `http://${world.host}:${port}/hostname`)).not.toBe(
          "",
        );
        // Names: what is not on the list is not asked for anywhere, nor by way of another resolver.
        const lookUp = async (...words: string[]): Promise<string> =>
          (await daemon.hull(["exec", box, "timeout", "3", "nslookup", ...words])).stdout;
        expect(await lookUp("two.example")).toContain("REFUSED");
        expect(await lookUp("one.example")).toContain(world.one);
        expect(await lookUp("neighbour")).not.toContain("REFUSED");
        expect(await lookUp("one.example", world.resolver)).not.toContain(world.one);

        // What was reached before goes on while no daemon runs and under the next one, and what was not does not.
        const probe = [`${world.one}:${web}`, `${world.two}:${web}`];
        const pid = await daemon.hullOk(["inspect", "-f", "{{.State.Pid}}", "neighbour"]);
        expect(pid).not.toBe("0");
        await daemon.kill9();
        await daemon.start();
        expect(await reached(box, probe)).toEqual([`${world.one}:${web}`]);
        // A firewall that loads its rules anew takes them away for a moment.
        expect(await run(["nft", "flush", "ruleset"])).toMatchObject({ code: 0 });
        await until("the rules are back", async () =>
          (await run(["nft", "list", "ruleset"])).stdout.includes("-egress {"),
        );
        expect(await reached(box, [...refused.slice(3), `${world.one}:${web}`])).toEqual([
          `${world.one}:${web}`,
        ]);
        await daemon.hullOk(["rm", "-f", box]);
        expect((await run(["nft", "list", "tables"])).stdout).not.toContain("-egress");
      },
      testTimeout,
    );

    test(
      "the list changes while it runs: what was begun under another one ends",
      async () => {
        const box = name("changing");
        await runWeb(wall, box);
        const places = [`${world.one}:${web}`, `${world.two}:${web}`];
        expect(await reached(box, places)).toEqual(places);
        const upload = daemon.spawnHull(["exec", box, "sh", "-c", `yes | nc ${world.one} ${world.counter}`]);
        const before = await outside.counted();
        await until("bytes arrive", async () => (await outside.counted()) > before);
        await daemon.hullOk([
          "update",
          "--egress-allow",
          world.two,
          "--egress-allow",
          `${world.one}:${web}`,
          box,
        ]);
        let last = -1;
        await until("no more arrive", async () => {
          const before = last;
          last = await outside.counted();
          return last === before;
        });
        expect(await reached(box, places)).toEqual(places);
        expect(await outside.counted()).toBe(last);
        upload.process.kill();
        await daemon.hullOk(["update", "--egress-allow", "none", box]);
        expect(await annotationsOf(box)).toEqual({ "hull.egress.allow": "none" });
        expect(await reached(box, [...places, "neighbour"])).toEqual(["neighbour"]);
        await daemon.hullOk(["restart", "-t", "0", box]);
        expect(await reached(box, places)).toEqual([]);
        await daemon.hullOk(["update", "--egress-allow", "any", box]);
        expect(await annotationsOf(box)).toBeNull();
        expect(await reached(box, places)).toEqual(places);
        const wrong = await daemon.hull(["update", "--egress-allow", "10.0.0.1/8", box]);
        expect(wrong.stderr).toContain("it should be 10.0.0.0/8");
        await daemon.hullOk(["rm", "-f", box]);
      },
      testTimeout,
    );

    test(
      "rates hold in both directions, over a restart of the daemon, until they are changed",
      async () => {
        const box = name("slow");
        await runWeb(wall, box, "--egress-rate", "400kbit", "--ingress-rate", "0.4mbit");
        const rates = { "hull.ingress.rate": "400kbit", "hull.egress.rate": "400kbit" };
        expect(await annotationsOf(box)).toEqual(rates);
        expect(await share(box, "sent")).toBeLessThan(0.3);
        expect(await share(box, "received")).toBeLessThan(0.3);
        await daemon.kill9();
        await daemon.start();
        expect(await share(box, "sent")).toBeLessThan(0.3);
        await daemon.hullOk(["update", "--egress-rate", "unlimited", box]);
        expect(await annotationsOf(box)).toEqual({ "hull.ingress.rate": "400kbit" });
        expect(await share(box, "sent")).toBeGreaterThan(0.7);
        expect(await share(box, "received")).toBeLessThan(0.3);
        await daemon.hullOk(["update", "--ingress-rate", "unlimited", box]);
        expect(await share(box, "received")).toBeGreaterThan(0.7);
        await daemon.hullOk(["rm", "-f", box]);
        await until(
          "the queues are gone",
          async () => !/: h[io][0-9a-f]{12}/.test((await run(["ip", "link"])).stdout),
        );
      },
      testTimeout,
    );
  });

/** Which part of two million bytes, sent at once, gets past the limits between a workload and its neighbour. */
async function share(box: string, direction: "sent" | "received"): Promise<number> {
  const address = async (name: string): Promise<string> =>
    await daemon.hullOk(["inspect", "-f", '{{(index .NetworkSettings.Networks "lab").IPAddress}}', name]);
  const [from, to] = direction === "sent" ? [box, "neighbour"] : ["neighbour", box];
  const before = await traffic(to);
  // So that what is lost is lost to the limit, not for want of an answer to who has the address.
  await daemon.hullOk(["exec", from, "ping", "-c1", "-W9", await address(to)]);
  await daemon.hullOk(["exec", from, "/tools/frames", "flood", await address(to), "9", "2000"]);
  return ((await traffic(to)) - before) / 2_000_000;
}

/** Bytes that came to a workload so far. */
async function traffic(name: string): Promise<number> {
  const path = `/containers/${name}/stats?stream=false&one-shot=true`;
  const answer = await fetch(`http://hull${path}`, { unix: daemon.socket });
  const stats: { networks: { eth0: { rx_bytes: number } } } = JSON.parse(await answer.text());
  return stats.networks.eth0.rx_bytes;
}

test(
  "a policy is refused where Hull could not keep it, and comes from Docker's clients as an annotation or a label",
  async () => {
    const before = await daemon.hullOk(["ps", "-aq"]);
    for (const network of ["none", "host", "container:neighbour"])
      for (const flag of ["--egress-allow=one.example", "--egress-rate=1mbit", "--ingress-rate=1mbit"]) {
        const { code, stderr } = await daemon.hull([
          "create",
          "--network",
          network,
          flag,
          "hull/tiny",
          "true",
        ]);
        expect([network, code]).not.toEqual([network, 0]);
        expect(stderr).toContain(`with the network mode ${network.split(":")[0]}`);
      }
    for (const [flag, why] of [
      ["--egress-allow=any --egress-allow=10.0.0.1", "stand alone"],
      ["--egress-allow=a..b", "write a name"],
      ["--egress-rate=fast", "write it as 512kbit"],
    ] as const)
      expect((await daemon.hull(["create", ...flag.split(" "), "hull/tiny", "true"])).stderr).toContain(why);
    expect(await daemon.hullOk(["ps", "-aq"])).toBe(before);

    const list = "hull.egress.allow=one.example,10.0.0.0/8";
    for (const [name, flags] of [
      ["annotated", ["--annotation", list]],
      ["labelled", ["--label", list]],
    ] as const) {
      const made = await daemon.docker(["create", "--name", name, ...flags, "hull/tiny", "true"]);
      expect([made.code, made.stderr]).toEqual([0, ""]);
      expect(await annotationsOf(name)).toEqual({ "hull.egress.allow": "one.example,10.0.0.0/8" });
      await daemon.hullOk(["update", "--ingress-rate", "2mbit", name]);
      expect(await annotationsOf(name)).toMatchObject({ "hull.ingress.rate": "2mbit" });
      await daemon.hullOk(["rm", name]);
    }
    const unknown = await daemon.docker(["create", "--annotation", "other=1", "hull/tiny", "true"]);
    expect(unknown.stderr).toContain("the annotation other");
  },
  testTimeout,
);
