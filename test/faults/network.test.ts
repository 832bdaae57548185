/** What goes wrong with networks: rules flushed, bridges deleted, daemons killed, addresses and ports used up. */
import { Database } from "bun:sqlite";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { run, start } from "../../src/host/spawn.ts";
import { startDaemon, type TestDaemon } from "../support/daemon.ts";
import { until } from "../support/until.ts";

const timeout = 240_000;
let daemon: TestDaemon;

beforeAll(async () => {
  daemon = await startDaemon();
}, timeout);
afterAll(async () => await daemon[Symbol.asyncDispose](), timeout);

async function fromHost(address: string): Promise<string | undefined> {
  try {
    const answer = await fetch(`http://${address}/hostname`, {
      signal: AbortSignal.timeout(2000),
      keepalive: false,
    });
    return (await answer.text()).trim();
  } catch {
    return undefined;
  }
}

async function serve(name: string, ...flags: readonly string[]): Promise<void> {
  const image = ["hull/tiny", "httpd", "-f", "-p", "80", "-h", "/etc"];
  await daemon.hullOk(["run", "-d", "--name", name, "-h", name, ...flags, ...image]);
}

/** Names of the interfaces in the test's own name space. */
async function links(): Promise<string[]> {
  const { stdout } = await run(["ip", "-o", "link"]);
  return [...stdout.matchAll(/^\d+: ([^:@]+)/gm)].map(([, name]) => name ?? "");
}

async function forwarding(): Promise<string> {
  return (await Bun.file("/proc/sys/net/ipv4/ip_forward").text()).trim();
}

async function expectAnswer(address: string, expected: string | undefined): Promise<void> {
  await until(`${address} answers ${expected}`, async () => (await fromHost(address)) === expected);
}

test(
  "rules that a firewall flushed, and a bridge that somebody deleted, come back; other rules stay as they are",
  async () => {
    await serve("steady", "-p", "18100:80");
    await expectAnswer("127.0.0.1:18100", "steady");
    await run(["nft", "flush", "ruleset"]);
    await run(["nft", "add", "table", "inet", "somebody"]);
    await expectAnswer("127.0.0.1:18100", "steady");
    expect((await run(["nft", "list", "tables"])).stdout).toContain("table inet somebody");
    await run(["nft", "delete", "table", "inet", "somebody"]);
    const bridge = (await links()).find((name) => name.startsWith("hull")) ?? "";
    expect(await run(["ip", "link", "delete", bridge])).toMatchObject({ code: 0 });
    await expectAnswer("127.0.0.1:18100", "steady");
    expect(await daemon.hullOk(["run", "--rm", "hull/tiny", "nslookup", "steady"])).toContain(
      "Name:\tsteady",
    );
    await daemon.hullOk(["rm", "-f", "steady"]);
  },
  timeout,
);

test(
  "a daemon that was killed while it connected a workload leaves it where it was, free to be connected",
  async () => {
    await daemon.hullOk(["network", "create", "half"]);
    await serve("half-way");
    const endpoints = async (): Promise<string> =>
      (await daemon.hullOk(["inspect", "-f", "{{json .NetworkSettings.Networks}}", "half-way"])).replaceAll(
        /EndpointID":"[0-9a-f]+/g,
        "",
      );
    const before = await endpoints();
    await daemon.hullOk(["network", "connect", "half", "half-way"]);
    await daemon.kill9();
    // What is recorded before an address is chosen and a cable laid.
    using records = new Database(join(daemon.root, "network.db"));
    records.run(
      `UPDATE workloads SET record = json_remove(record, '$.endpoints[1].address4', '$.endpoints[1].hardware')
       WHERE json_extract(record, '$.name') = 'half-way'`,
    );
    records.close();
    const cables = (await links()).filter((name) => name.startsWith("hv"));
    await daemon.start();
    expect(await endpoints()).toBe(before);
    expect((await links()).filter((name) => name.startsWith("hv"))).toHaveLength(cables.length - 1);
    await daemon.hullOk(["network", "connect", "half", "half-way"]);
    expect(await daemon.hullOk(["exec", "half-way", "ip", "address"])).toContain(" eth1");
    await daemon.hullOk(["rm", "-f", "half-way"]);
    await daemon.hullOk(["network", "rm", "half"]);
  },
  timeout,
);

test(
  "forwarding that somebody turned off is turned on again, by the next daemon too",
  async () => {
    await serve("forwarded", "-p", "18110:80");
    const turnOff = async (): Promise<void> => {
      expect(await run(["sysctl", "-q", "-w", "net.ipv4.ip_forward=0"])).toMatchObject({ code: 0 });
    };
    const isOn = async (): Promise<boolean> =>
      (await run(["sysctl", "-n", "net.ipv4.ip_forward"])).stdout.trim() === "1";
    await turnOff();
    await until("forwarding is on again", isOn);
    await daemon.kill9();
    await turnOff();
    await daemon.start();
    await until("the next daemon has turned it on", isOn);
    await daemon.hullOk(["rm", "-f", "forwarded"]);
  },
  timeout,
);

test(
  "a bridge and cables that somebody changed, pulled or deleted by hand are put back, and isolation with them",
  async () => {
    const apart = [
      "-o",
      "com.docker.network.bridge.enable_icc=false",
      "-o",
      "com.docker.network.bridge.name=apart0",
    ];
    await daemon.hullOk(["network", "create", ...apart, "apart"]);
    for (const name of ["apart-one", "apart-two"]) await serve(name, "--network", "apart");
    const [one = "", two = ""] = await Promise.all(
      ["apart-one", "apart-two"].map((name) =>
        daemon.hullOk(["inspect", "-f", "{{.NetworkSettings.Networks.apart.IPAddress}}", name]),
      ),
    );
    const isInOrder = async (after: string): Promise<void> => {
      await until(`the host reaches both ${after}`, async () =>
        (await Promise.all([one, two].map(fromHost))).every((name) => name !== undefined),
      );
      const ask = ["exec", "apart-one", "timeout", "1", "wget", "-qO-", `http://${two}/hostname`];
      const asked = await daemon.hull(ask);
      expect([asked.code === 0, asked.stdout]).toEqual([false, ""]);
    };
    const ip = async (...words: string[]): Promise<void> => {
      expect(await run(["ip", ...words])).toMatchObject({ code: 0, stderr: "" });
    };
    const cable = async (): Promise<string> =>
      /hv[0-9a-f]+/.exec((await run(["ip", "-o", "link", "show", "master", "apart0"])).stdout)?.[0] ?? "";
    await isInOrder("at first");
    await ip("link", "delete", "apart0");
    await isInOrder("after the bridge was deleted");
    await ip("address", "flush", "dev", "apart0");
    await ip("link", "set", "apart0", "down");
    await isInOrder("after the bridge was set down");
    await ip("link", "set", await cable(), "nomaster");
    await isInOrder("after a cable was pulled out");
    await ip("link", "delete", await cable());
    await isInOrder("after a cable was deleted");
    await daemon.kill9();
    await ip("link", "delete", "apart0");
    await daemon.start();
    await isInOrder("after the bridge was deleted while no daemon was there");
    await daemon.hullOk(["rm", "-f", "apart-one", "apart-two"]);
    await daemon.hullOk(["network", "rm", "apart"]);
  },
  timeout,
);

test(
  "a daemon that is killed leaves the ways in open, and the next one has everything in hand again",
  async () => {
    await serve("lasting", "-p", "18101:80");
    await serve("leaving", "-p", "18102:80");
    const address = await daemon.hullOk(["inspect", "-f", "{{.NetworkSettings.IPAddress}}", "lasting"]);
    const pid = Number(await daemon.hullOk(["inspect", "-f", "{{.State.Pid}}", "leaving"]));
    await daemon.kill9();
    expect(await fromHost("127.0.0.1:18101")).toBe("lasting");
    process.kill(pid, "SIGKILL");
    await daemon.start();
    expect(await fromHost("127.0.0.1:18101")).toBe("lasting");
    expect(await daemon.hullOk(["port", "lasting", "80"])).toContain("0.0.0.0:18101");
    const taken = await daemon.hull(["run", "--rm", "-p", "18101:80", "hull/tiny", "true"]);
    expect(taken.stderr).toContain("already allocated");
    // What ended meanwhile has nothing any more, and what comes does not get what is taken.
    await serve("coming", "-p", "18102:80");
    await expectAnswer("127.0.0.1:18102", "coming");
    expect(await daemon.hullOk(["inspect", "-f", "{{.NetworkSettings.IPAddress}}", "coming"])).not.toBe(
      address,
    );
    expect(await daemon.hullOk(["run", "--rm", "hull/tiny", "nslookup", "lasting"])).toContain(address);
    await daemon.hullOk(["rm", "-f", "lasting", "leaving", "coming"]);
  },
  timeout,
);

test(
  "a daemon that ends while nobody is on a network leaves neither bridges nor rules",
  async () => {
    await daemon.hullOk(["run", "--rm", "-p", "18103:80", "hull/tiny", "true"]);
    expect((await links()).filter((name) => name.startsWith("hull"))).toHaveLength(1);
    expect(await forwarding()).toBe("1");
    // One that was killed leaves them to the next.
    await daemon.kill9();
    await daemon.start();
    await daemon.stop();
    expect(await links()).toEqual(["lo"]);
    expect((await run(["nft", "list", "ruleset"])).stdout).toBe("");
    expect(await forwarding()).toBe("0");
    await daemon.start();
  },
  timeout,
);

test(
  "many starts at once get an address each, and those that find none say so",
  async () => {
    await daemon.hullOk(["network", "create", "--subnet", "10.98.0.0/28", "small"]);
    // 14 addresses, one of which is the gateway's.
    const starts = Array.from({ length: 16 }, (_, index) =>
      daemon.hull([
        "run",
        "-d",
        "--name",
        `crowd-${index}`,
        "--network",
        "small",
        "hull/tiny",
        "sleep",
        "1000",
      ]),
    );
    const failed = (await Promise.all(starts)).filter(({ code }) => code !== 0);
    expect(failed).toHaveLength(3);
    for (const { stderr } of failed) expect(stderr).toContain("no more IPv4 addresses in network small");
    const inspected = JSON.parse(await daemon.hullOk(["network", "inspect", "small"]));
    const addresses = Object.values<{ IPv4Address: string }>(inspected[0].Containers).map(
      (one) => one.IPv4Address,
    );
    expect(new Set(addresses).size).toBe(13);
    await daemon.hullOk(["rm", "-f", ...Array.from({ length: 16 }, (_, index) => `crowd-${index}`)]);
    await daemon.hullOk(["network", "rm", "small"]);
  },
  timeout,
);

test(
  "a daemon that is killed amid many starts knows those that run, each with an address of its own",
  async () => {
    await daemon.hullOk(["network", "create", "amid"]);
    const names = Array.from({ length: 12 }, (_, index) => `amid-${index}`);
    const starting = names.map((name) =>
      daemon.hull(["run", "-d", "--name", name, "--network", "amid", "hull/tiny", "sleep", "1000"]),
    );
    await Promise.any(starting.map(async (one) => expect((await one).code).toBe(0)));
    await daemon.kill9();
    const results = await Promise.all(starting);
    const answered = names.filter((_, index) => results[index]?.code === 0);
    await daemon.start();
    const running = (await daemon.hullOk(["ps", "--filter", "network=amid", "--format", "{{.Names}}"]))
      .split("\n")
      .sort();
    expect(running).toEqual(expect.arrayContaining(answered));
    const [network] = JSON.parse(await daemon.hullOk(["network", "inspect", "amid"]));
    const members = Object.values<{ Name: string; IPv4Address: string }>(network.Containers);
    expect(members.map(({ Name }) => Name).sort()).toEqual(running);
    expect(new Set(members.map(({ IPv4Address }) => IPv4Address)).size).toBe(running.length);
    await until("cables are left of those that run only", async () => {
      const { stdout } = await run(["ip", "-o", "link", "show", "type", "veth"]);
      return stdout.split("\n").filter(Boolean).length === running.length;
    });
    await daemon.hullOk(["rm", "-f", ...(await daemon.hullOk(["ps", "-aq"])).split("\n")]);
    await daemon.hullOk(["network", "rm", "amid"]);
  },
  timeout,
);

test(
  "a hundred networks come up with their workloads, are put back after a flush, and go",
  async () => {
    const names = Array.from({ length: 100 }, (_, index) => `many-${index}`);
    for (const Name of names) {
      const request = { unix: daemon.socket, method: "POST", body: JSON.stringify({ Name }) };
      expect((await fetch("http://hull/networks/create", request)).status).toBe(201);
    }
    for (let first = 0; first < names.length; first += 25) {
      const on = names.slice(first, first + 25).flatMap((name) => ["--network", name]);
      await serve(`on-${first}`, ...on, "-p", `${18_110 + first}:80`);
    }
    await run(["nft", "flush", "ruleset"]);
    await expectAnswer("127.0.0.1:18185", "on-75");
    const ask = ["run", "--rm", "--network", "many-99", "hull/tiny", "nslookup", "on-75"];
    expect(await daemon.hullOk(ask)).toContain("Name:\ton-75");
    await daemon.hullOk(["rm", "-f", "on-0", "on-25", "on-50", "on-75"]);
    expect(
      (await daemon.hullOk(["network", "prune", "-f"]))
        .split("\n")
        .filter((line) => line.startsWith("many-")),
    ).toHaveLength(100);
    expect((await links()).filter((name) => name.startsWith("hull-"))).toEqual([]);
  },
  timeout,
);

test(
  "a thousand published ports come and go with their workload",
  async () => {
    await serve("ports", "-p", "20000-20999:1000-1999", "-p", "18104:80");
    await expectAnswer("127.0.0.1:18104", "ports");
    expect((await daemon.hullOk(["port", "ports"])).split("\n").length).toBeGreaterThan(1000);
    await daemon.hullOk(["rm", "-f", "ports"]);
    await serve("ports", "-p", "20999:80");
    await expectAnswer("127.0.0.1:20999", "ports");
    await daemon.hullOk(["rm", "-f", "ports"]);
  },
  timeout,
);

/** What one datagram to 127.0.0.1 is answered, always from the same port; empty when nobody answers. */
async function sayByUdp(port: number): Promise<string> {
  const script = `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("127.0.0.1", 4711)); s.settimeout(0.3)
try:
    s.connect(("127.0.0.1", ${port})); s.send(b"?"); print(s.recv(99).decode(), end="")
except OSError: pass`;
  return (await run(["python3", "-c", script])).stdout;
}

/** Answers datagrams to port 53 of a workload's with its name, from the workload's network. */
async function answerByUdp(name: string): Promise<AsyncDisposable> {
  const pid = await daemon.hullOk(["inspect", "-f", "{{.State.Pid}}", name]);
  const script = `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("0.0.0.0", 53))
while True: s.sendto(b"${name}", s.recvfrom(99)[1])`;
  const server = start(["nsenter", "--net", "--target", pid, "python3", "-c", script], {
    stdio: ["ignore", "ignore", "ignore"],
  });
  return {
    async [Symbol.asyncDispose]() {
      server.kill("SIGKILL");
      await server.exited;
    },
  };
}

test(
  "a client of UDP that never falls silent is led to whoever has the port, and to nobody afterwards",
  async () => {
    const leadsTo = (name: string): Promise<void> =>
      until(`18105/udp leads to '${name}'`, async () => (await sayByUdp(18_105)) === name);
    const sleeper = ["hull/tiny", "sleep", "1000"];
    await leadsTo("");
    await daemon.hullOk(["run", "-d", "--name", "udp-one", "-p", "18105:53/udp", ...sleeper]);
    {
      await using _ = await answerByUdp("udp-one");
      await leadsTo("udp-one");
      await daemon.kill9();
      await run(["nft", "flush", "ruleset"]);
      await leadsTo("");
      await daemon.start();
      await leadsTo("udp-one");
      await daemon.hullOk(["update", "--publish-rm", "18105:53/udp", "udp-one"]);
      await leadsTo("");
    }
    // It keeps its address, so that the next one has another.
    await daemon.hullOk(["run", "-d", "--name", "udp-two", "-p", "18105:53/udp", ...sleeper]);
    await using _ = await answerByUdp("udp-two");
    await leadsTo("udp-two");
    await daemon.hullOk(["rm", "-f", "udp-one", "udp-two"]);
  },
  timeout,
);

test(
  "a network moves out of the way of a route that came up, unless its place was asked for",
  async () => {
    const subnet = await daemon.hullOk([
      "network",
      "inspect",
      "-f",
      "{{(index .IPAM.Config 0).Subnet}}",
      "bridge",
    ]);
    await daemon.restart();
    await run(["ip", "route", "add", subnet, "dev", "lo"]);
    await daemon.hullOk(["network", "create", "--subnet", "10.97.0.0/24", "asked"]);
    await run(["ip", "route", "add", "10.97.0.0/16", "dev", "lo"]);
    expect(await daemon.hullOk(["run", "--rm", "hull/tiny", "ip", "route"])).not.toContain(subnet);
    const refused = await daemon.hull(["run", "--rm", "--network", "asked", "hull/tiny", "true"]);
    expect(refused.stderr).toContain("overlap with a route of the host");
    const colliding = await daemon.hull(["network", "create", "--subnet", "10.97.5.0/24", "other"]);
    expect(colliding.stderr).toMatch(/overlap/i);
    await run(["ip", "route", "del", subnet, "dev", "lo"]);
    await run(["ip", "route", "del", "10.97.0.0/16", "dev", "lo"]);
    await daemon.hullOk(["network", "rm", "asked"]);
  },
  timeout,
);
