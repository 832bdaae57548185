/** Workloads of both walls as neighbours: names, ports, networks that come and go. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { WallKind } from "../../src/contract/isolation.ts";
import { run } from "../../src/host/spawn.ts";
import { runProgram, startDaemon, type TestDaemon } from "../support/daemon.ts";
import { testTimeout, walls } from "../support/scenario.ts";
import { until } from "../support/until.ts";

let daemon: TestDaemon;

beforeAll(async () => {
  daemon = await startDaemon();
  await daemon.hullOk(["network", "create", "front"]);
  await daemon.hullOk(["network", "create", "back", "--internal", "--subnet", "10.99.0.0/24"]);
}, testTimeout);
afterAll(async () => await daemon[Symbol.asyncDispose](), testTimeout);

/** A web server that says its host name. */
async function serve(wall: WallKind, name: string, ...flags: readonly string[]): Promise<void> {
  const command = ["httpd", "-f", "-p", "80", "-h", "/etc"];
  await daemon.hullOk([
    ...["run", "-d", "--isolation", wall, "--name", name, "-h", name, ...flags, "hull/tiny"],
    ...command,
  ]);
  await until(`${name} listens`, async () => {
    const { stdout } = await daemon.hull(["exec", name, "netstat", "-ltn"]);
    return stdout.includes(":80 ");
  });
}

const inside = (name: string, script: string): Promise<string> =>
  daemon.hullOk(["exec", name, "sh", "-c", script]);

/** What a published port of the host answers; undefined when nobody does. */
async function fromHost(address: string): Promise<string | undefined> {
  try {
    const answer = await fetch(`http://${address}/hostname`, {
      signal: AbortSignal.timeout(5000),
      keepalive: false,
    });
    return (await answer.text()).trim();
  } catch {
    return undefined;
  }
}

for (const wall of walls) {
  const other: WallKind = wall === "vm" ? "container" : "vm";
  const name = (base: string): string => `${base}-${wall}`;

  describe(`network, ${wall} wall`, () => {
    test(
      "neighbours of either wall know each other by name and reach each other's ports",
      async () => {
        await serve(wall, name("web"), "--network", "front", "--network-alias", name("alias"));
        await serve(other, name("peer"), "--network", "front");
        for (const [from, to] of [
          [name("web"), name("peer")],
          [name("peer"), name("web")],
        ] as const)
          expect(await inside(from, `wget -qO- http://${to}/hostname`)).toBe(to);
        expect(await inside(name("peer"), `wget -qO- http://${name("alias")}/hostname`)).toBe(name("web"));
        expect(await inside(name("web"), "nslookup host.docker.internal")).toContain("172.");
        await daemon.hullOk(["rm", "-f", name("web"), name("peer")]);
      },
      testTimeout,
    );

    test(
      "published ports are reached from the host, by a neighbour and by the workload itself",
      async () => {
        await serve(wall, name("port"), "-p", "18080:80", "-p", "127.0.0.1::80");
        const ports = (await daemon.hullOk(["port", name("port"), "80"])).split("\n");
        expect(ports).toContain("0.0.0.0:18080");
        const local = ports.find((port) => port.startsWith("127.0.0.1:")) ?? "";
        for (const address of ["127.0.0.1:18080", "[::1]:18080", local])
          expect([address, await fromHost(address)]).toEqual([address, name("port")]);
        const gateway = await inside(name("port"), "ip route | sed -n 's/^default via \\([^ ]*\\).*/\\1/p'");
        expect(await inside(name("port"), `wget -qO- http://${gateway}:18080/hostname`)).toBe(name("port"));
        const neighbour = ["run", "--rm", "hull/tiny", "wget", "-qO-", `http://${gateway}:18080/hostname`];
        expect(await daemon.hullOk(neighbour)).toBe(name("port"));
        const taken = await daemon.hull(["run", "--rm", "-p", "18080:80", "hull/tiny", "true"]);
        expect(taken.stderr).toContain("port 18080/tcp is already allocated");
        await daemon.hullOk([
          "update",
          "--publish-add",
          "18081:80",
          "--publish-rm",
          "18080:80",
          name("port"),
        ]);
        expect(await fromHost("127.0.0.1:18081")).toBe(name("port"));
        expect(await fromHost("127.0.0.1:18080")).toBeUndefined();
        await daemon.hullOk(["rm", "-f", name("port")]);
        expect(await fromHost("127.0.0.1:18081")).toBeUndefined();
      },
      testTimeout,
    );

    test(
      "a link of the default network gives a name and Docker's variables, and leads to who runs only",
      async () => {
        const asking = [
          "run",
          "--rm",
          "--isolation",
          wall,
          "--link",
          `${name("linked")}:my-db`,
          "--name",
          name("asks"),
        ];
        const ask = [...asking, "hull/tiny", "sh", "-c", "env; nslookup my-db"];
        expect((await daemon.hull(ask)).stderr).toContain(`No such container: ${name("linked")}`);
        await daemon.hullOk([
          ...[
            "run",
            "-d",
            "--isolation",
            other,
            "--name",
            name("linked"),
            "-e",
            "SECRET=7",
            "--expose",
            "70",
          ],
          ...["hull/tiny", "sleep", "1000"],
        ]);
        const address = await daemon.hullOk([
          "inspect",
          "-f",
          "{{.NetworkSettings.IPAddress}}",
          name("linked"),
        ]);
        const said = (await daemon.hullOk(ask)).split("\n");
        for (const line of [
          `MY_DB_PORT=tcp://${address}:70`,
          `MY_DB_NAME=/${name("asks")}/my-db`,
          "MY_DB_ENV_SECRET=7",
          `Address: ${address}`,
        ])
          expect(said).toContain(line);
        await daemon.hullOk(["stop", "-t", "0", name("linked")]);
        expect((await daemon.hull(ask)).stderr).toContain("Cannot link to a non running container");
        await daemon.hullOk(["rm", "-f", name("linked")]);
      },
      testTimeout,
    );

    test(
      "a running workload is connected to networks and disconnected from them",
      async () => {
        await serve(wall, name("moving"), "--network", "front");
        await daemon.hullOk([
          "network",
          "connect",
          "--alias",
          name("inner"),
          "--ip",
          "10.99.0.77",
          "back",
          name("moving"),
        ]);
        const ask = [
          "run",
          "--rm",
          "--network",
          "back",
          "hull/tiny",
          "wget",
          "-qO-",
          `http://${name("inner")}/hostname`,
        ];
        expect(await daemon.hullOk(ask)).toBe(name("moving"));
        expect(await inside(name("moving"), "cat /etc/hosts")).toContain(`10.99.0.77\t${name("moving")}`);
        const inUse = await daemon.hull(["network", "rm", "back"]);
        expect(inUse.stderr).toContain("has active endpoints");
        await daemon.hullOk(["network", "disconnect", "front", name("moving")]);
        expect(await inside(name("moving"), "ip route")).not.toContain("default");
        expect(await daemon.hullOk(ask)).toBe(name("moving"));
        await daemon.hullOk(["network", "connect", "front", name("moving")]);
        expect(await inside(name("moving"), "ip route")).toContain("default via");
        await daemon.hullOk(["rm", "-f", name("moving")]);
      },
      testTimeout,
    );

    test(
      "ports that cannot be led elsewhere when a network goes are not shown as published",
      async () => {
        const [six, four] = [name("with-six"), name("without-six")];
        await daemon.hullOk(["network", "create", "--ipv6", six]);
        await daemon.hullOk(["network", "create", four]);
        const networks = ["--network", six, "--network", four];
        await serve(wall, name("leaving"), ...networks, "-p", "18198:80", "-p", "[::]:18199:53/udp");
        expect(await fromHost("127.0.0.1:18198")).toBe(name("leaving"));
        const { stderr } = await daemon.hull(["network", "disconnect", six, name("leaving")]);
        expect(stderr).toContain("no IPv6 address");
        expect(await daemon.hullOk(["port", name("leaving")])).toBe("");
        expect(await fromHost("127.0.0.1:18198")).toBeUndefined();
        await daemon.hullOk(["rm", "-f", name("leaving")]);
        await daemon.hullOk(["network", "rm", six, four]);
      },
      testTimeout,
    );

    test(
      "ports without an address are bound where the network says, and move with it",
      async () => {
        const [local, open] = [name("local"), name("open")];
        const option = "com.docker.network.bridge.host_binding_ipv4=127.0.0.1";
        await daemon.hullOk(["network", "create", "-o", option, local]);
        await daemon.hullOk(["network", "create", "--ipv6", open]);
        const networks = ["--network", local, "--network", open];
        await serve(wall, name("bound"), ...networks, "-p", "18196:80", "-p", "18197:53/udp");
        const published = async (): Promise<string[]> =>
          (await daemon.hullOk(["port", name("bound")])).split("\n").toSorted();
        expect(await published()).toEqual(["53/udp -> 127.0.0.1:18197", "80/tcp -> 127.0.0.1:18196"]);
        expect(await fromHost("127.0.0.1:18196")).toBe(name("bound"));
        expect(await fromHost("127.0.0.2:18196")).toBeUndefined();
        await daemon.hullOk(["network", "disconnect", local, name("bound")]);
        expect(await published()).toEqual([
          "53/udp -> 0.0.0.0:18197",
          "53/udp -> [::]:18197",
          "80/tcp -> 0.0.0.0:18196",
          "80/tcp -> [::]:18196",
        ]);
        expect(await fromHost("127.0.0.2:18196")).toBe(name("bound"));
        await daemon.hullOk(["rm", "-f", name("bound")]);
        await daemon.hullOk(["network", "rm", local, open]);
      },
      testTimeout,
    );

    test(
      "a workload without a network has a loopback interface only, and keeps its addresses over a restart",
      async () => {
        const none = [
          "run",
          "--rm",
          "--isolation",
          wall,
          "--network",
          "none",
          "hull/tiny",
          "cat",
          "/proc/net/dev",
        ];
        expect((await daemon.hullOk(none)).match(/^\s*\w+:/gm)?.map((word) => word.trim())).toEqual(["lo:"]);
        await daemon.hullOk([
          "run",
          "-d",
          "--isolation",
          wall,
          "--name",
          name("steady"),
          "hull/tiny",
          "sleep",
          "1000",
        ]);
        const address = (): Promise<string> =>
          daemon.hullOk(["inspect", "-f", "{{.NetworkSettings.IPAddress}}", name("steady")]);
        const before = await address();
        await daemon.hullOk(["run", "-d", "--name", name("another"), "hull/tiny", "sleep", "1000"]);
        await daemon.hullOk(["restart", "-t", "0", name("steady")]);
        expect(await address()).toBe(before);
        await daemon.hullOk(["rm", "-f", name("steady"), name("another")]);
      },
      testTimeout,
    );

    test(
      "a workload that leaves its network and comes back has its hardware address and the host's name again",
      async () => {
        const workload = name("traveller");
        const asked = ["--mac-address", "02:aa:bb:cc:dd:01", "--add-host", "gate:host-gateway"];
        // As Compose's first version makes one: out of the network and in again before it starts.
        await daemon.hullOk([
          ...["create", "--isolation", wall, "--name", workload, "--network", "front", ...asked],
          ...["hull/tiny", "sleep", "1000"],
        ]);
        const leave = ["network", "disconnect", "front", workload];
        const comeBack = ["network", "connect", "front", workload];
        await daemon.hullOk(leave);
        await daemon.hullOk(comeBack);
        await daemon.hullOk(["start", workload]);
        const state = (): Promise<string> =>
          inside(workload, "cat /sys/class/net/eth0/address; grep gate /etc/hosts");
        const before = await state();
        expect(before).toMatch(/^02:aa:bb:cc:dd:01\n172\.\S+\tgate$/);
        await daemon.hullOk(leave);
        expect(await inside(workload, "grep -c gate /etc/hosts || true")).toBe("0");
        await daemon.hullOk(comeBack);
        expect(await state()).toBe(before);
        // Programs that call out to a whole network ask the interface where to.
        expect(await inside(workload, "ip -4 addr show eth0")).toMatch(/ brd 172\.\S+\.255 /);
        await daemon.hullOk(["rm", "-f", workload]);
      },
      testTimeout,
    );
  });
}

test(
  "a container joins the host's network or another one's; a virtual machine is refused both with a reason",
  async () => {
    await daemon.hullOk(["run", "-d", "--name", "owner", "-h", "owner", "hull/tiny", "sleep", "1000"]);
    const joined = ["run", "--rm", "--network", "container:owner", "hull/tiny", "sh", "-c"];
    const address = await daemon.hullOk(["inspect", "-f", "{{.NetworkSettings.IPAddress}}", "owner"]);
    expect(await daemon.hullOk([...joined, "hostname; ip addr show eth0"])).toContain(`inet ${address}`);
    expect(await daemon.hullOk(["run", "--rm", "--network", "host", "hull/tiny", "ip", "link"])).toContain(
      "hull",
    );
    for (const mode of ["host", "container:owner"]) {
      const { stderr, code } = await daemon.hull([
        "run",
        "--rm",
        "--isolation",
        "vm",
        "--network",
        mode,
        "hull/tiny",
        "true",
      ]);
      expect([code, stderr]).toEqual([125, expect.stringContaining("on the vm wall")]);
    }
    for (const [flag, value, why] of [
      ["--add-host", "far:192.0.2.1", "invalid extra host"],
      ["--hostname", "another", "invalid host name"],
      ["--mac-address", "02:aa:bb:cc:dd:02", "invalid MAC address"],
      ["--dns", "192.0.2.1", "invalid DNS setting"],
      ["--dns-search", "example.org", "invalid DNS setting"],
    ] as const) {
      const refused = await daemon.hull([
        "run",
        "--rm",
        "--network",
        "container:owner",
        flag,
        value,
        "hull/tiny",
      ]);
      expect([refused.code, refused.stderr]).toEqual([125, expect.stringContaining(why)]);
    }
    await daemon.hullOk(["rm", "-f", "owner"]);
  },
  testTimeout,
);

test(
  "networks do not reach each other but through published ports, and an internal one reaches nothing else",
  async () => {
    await serve("container", "closed", "--network", "front", "-p", "18090:80");
    const address = await daemon.hullOk([
      ...["inspect", "-f", '{{(index .NetworkSettings.Networks "front").IPAddress}}', "closed"],
    ]);
    const gateway = address.replace(/\.\d+$/, ".1");
    const from = (network: string, target: string): Promise<{ stdout: string }> =>
      daemon.hull([
        ...["run", "--rm", "--network", network, "hull/tiny", "sh", "-c"],
        `printf 'GET /hostname HTTP/1.0\\r\\n\\r\\n' | nc -w 2 ${target}`,
      ]);
    expect((await from("bridge", `${address} 80`)).stdout).toBe("");
    expect((await from("bridge", `${gateway} 18090`)).stdout).toContain("closed");
    expect((await from("back", `${address} 80`)).stdout).toBe("");
    await daemon.hullOk(["rm", "-f", "closed"]);
  },
  testTimeout,
);

test(
  "neighbours of both walls reach each other by IPv6, and believe no routers among themselves",
  async () => {
    await daemon.hullOk(["network", "create", "--ipv6", "six"]);
    for (const wall of walls)
      await daemon.hullOk([
        ...["run", "-d", "--isolation", wall, "--name", `six-${wall}`, "--network", "six"],
        ...["hull/tiny", "sleep", "1000"],
      ]);
    const member = "{{.NetworkSettings.Networks.six.GlobalIPv6Address}}";
    for (const [wall, other] of [walls, walls.toReversed()] as const) {
      const address = await daemon.hullOk(["inspect", "-f", member, `six-${other}`]);
      expect(address).toMatch(/^fd/);
      expect(await inside(`six-${wall}`, `ping -6 -c 1 -W 10 ${address}`)).toContain("1 packets received");
      expect(await inside(`six-${wall}`, "cat /proc/sys/net/ipv6/conf/eth0/accept_ra")).toBe("0");
    }
    await daemon.hullOk(["rm", "-f", ...walls.map((wall) => `six-${wall}`)]);
    await daemon.hullOk(["network", "rm", "six"]);
  },
  testTimeout,
);

test(
  "a rule set that is saved while workloads run can be loaded where there are none, as at the next boot",
  async () => {
    await daemon.hullOk([
      "run",
      "-d",
      "--name",
      "saved-rules",
      "-p",
      "18091:80",
      "hull/tiny",
      "sleep",
      "1000",
    ]);
    const { stdout: saved } = await run(["nft", "list", "ruleset"]);
    expect(saved).toContain("chain forward");
    const load = await runProgram(["unshare", "--net", "nft", "-f", "-"], { stdin: saved });
    expect(load).toMatchObject({ code: 0, stderr: "" });
    await daemon.hullOk(["rm", "-f", "saved-rules"]);
  },
  testTimeout,
);

test(
  "a start that is refused for its hosts file leaves no cable, and its network is free",
  async () => {
    await daemon.hullOk(["network", "create", "--internal", "inner"]);
    const flags = ["--network", "inner", "--add-host", "host:host-gateway"];
    await daemon.hullOk(["create", "--name", "refused", ...flags, "hull/tiny", "true"]);
    const cables = async (): Promise<string[]> =>
      (await run(["ip", "-o", "link"])).stdout.match(/\bhv[0-9a-f]{12}\b/g) ?? [];
    const before = await cables();
    for (let tries = 0; tries < 2; tries += 1)
      expect((await daemon.hull(["start", "refused"])).code).not.toBe(0);
    await until("no cable is left", async () => (await cables()).every((cable) => before.includes(cable)));
    await daemon.hullOk(["rm", "refused"]);
    await daemon.hullOk(["network", "rm", "inner"]);
  },
  testTimeout,
);
