/** What the world beyond the host may reach, and what of workloads reaches it: tried from a namespace that stands for it. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { run, type Spawned, start } from "../../src/host/spawn.ts";
import { startDaemon, type TestDaemon } from "../support/daemon.ts";
import { testTimeout } from "../support/scenario.ts";
import { until } from "../support/until.ts";

/** The host's address towards the world, the world's next to it, and one far out. */
const [host, near, far] = ["198.51.100.1", "198.51.100.2", "203.0.113.9"];

let daemon: TestDaemon;
const running: Spawned[] = [];
let world = 0;
let web = 0;
let inner = 0;

function inPlace(pid: number, ...command: readonly string[]): string[] {
  return ["nsenter", "--net", "--target", String(pid), ...command];
}

async function must(...command: readonly string[]): Promise<void> {
  expect(await run(command)).toMatchObject({ code: 0 });
}

function background(command: readonly string[]): Spawned {
  const child = start(command, { stdio: ["ignore", "ignore", "ignore"] });
  running.push(child);
  return child;
}

/** A server that tells its clients their address. */
async function tellAddresses(pid: number, port: number): Promise<void> {
  const script = `
import socket
s = socket.socket(); s.setsockopt(1, 2, 1); s.bind(("0.0.0.0", ${port})); s.listen()
while True:
    c, p = s.accept(); c.send(p[0].encode()); c.close()`;
  background(inPlace(pid, "python3", "-c", script));
  await until(`port ${port} listens`, async () =>
    (await run(inPlace(pid, "ss", "-ltn"))).stdout.includes(`:${port} `),
  );
}

/** What the server says at the other end; empty when there is no way. */
async function ask(pid: number, address: string, port: number): Promise<string> {
  const script = `
import socket
try: print(socket.create_connection(("${address}", ${port}), 1.5).recv(99).decode(), end="")
except OSError: pass`;
  return (await run(inPlace(pid, "python3", "-c", script))).stdout;
}

async function pidOf(name: string): Promise<number> {
  return Number(await daemon.hullOk(["inspect", "-f", "{{.State.Pid}}", name]));
}

/** A network name space, by a process in it. */
async function place(): Promise<number> {
  const { pid } = background(["unshare", "--net", "sleep", "1000"]);
  await until("the place is there", async () => {
    const [own, theirs] = await Promise.all(
      ["self", pid].map((each) => run(["readlink", `/proc/${each}/ns/net`])),
    );
    return own?.stdout !== theirs?.stdout;
  });
  return pid;
}

beforeAll(async () => {
  daemon = await startDaemon();
  world = await place();
  await must("ip", "link", "add", "up0", "type", "veth", "peer", "name", "eth0", "netns", String(world));
  await must("ip", "addr", "add", `${host}/24`, "dev", "up0");
  await must("ip", "link", "set", "up0", "up");
  await must("ip", "route", "add", "default", "via", near);
  const script = `ip link set lo up; ip addr add ${near}/24 dev eth0; ip link set eth0 up; ip addr add ${far}/32 dev lo; ip route add 172.16.0.0/12 via ${host}`;
  await must(...inPlace(world, "sh", "-c", script));
  await daemon.hullOk(["network", "create", "--internal", "inside"]);
  const published = ["-p", "18301:8000", "-p", "127.0.0.1:18302:8000"];
  await daemon.hullOk(["run", "-d", "--name", "web", ...published, "hull/tiny", "sleep", "1000"]);
  await daemon.hullOk(["run", "-d", "--name", "inner", "--network", "inside", "hull/tiny", "sleep", "1000"]);
  [web, inner] = [await pidOf("web"), await pidOf("inner")];
  await tellAddresses(web, 8000);
  await tellAddresses(world, 7000);
}, testTimeout);
afterAll(async () => {
  for (const child of running) {
    child.kill("SIGKILL");
    await child.exited;
  }
  await daemon[Symbol.asyncDispose]();
}, testTimeout);

test("a workload reaches the world with the host's address", async () => {
  expect(await ask(web, far, 7000)).toBe(host);
});

test("the world reaches published ports and is seen with its own address, and nothing else", async () => {
  expect(await ask(world, host, 18_301)).toBe(near);
  expect(await ask(world, host, 18_302)).toBe("");
  const address = await daemon.hullOk(["inspect", "-f", "{{.NetworkSettings.IPAddress}}", "web"]);
  expect(await ask(world, address, 8000)).toBe("");
});

test("the world does not ask a network's resolver, its workloads do", async () => {
  const gateway = await daemon.hullOk(["inspect", "-f", "{{.NetworkSettings.Gateway}}", "web"]);
  const script = `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(1)
s.sendto(b"\\x12\\x34\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0\\3web\\0\\0\\1\\0\\1", ("${gateway}", 53))
try: print(s.recv(512)[7], end="")
except OSError: pass`;
  expect((await run(inPlace(web, "python3", "-c", script))).stdout).toBe("1");
  expect((await run(inPlace(world, "python3", "-c", script))).stdout).toBe("");
});

test("a workload does not reach the host's loopback addresses, whatever it does with its own routes", async () => {
  await tellAddresses(process.pid, 9999);
  const gateway = await daemon.hullOk(["inspect", "-f", "{{.NetworkSettings.Gateway}}", "web"]);
  const script = `ip route add 127.0.0.9/32 via ${gateway} dev eth0 && sysctl -qw net.ipv4.conf.eth0.route_localnet=1`;
  await must(...inPlace(web, "sh", "-c", script));
  expect(await ask(web, "127.0.0.9", 9999)).toBe("");
  expect(await ask(process.pid, "127.0.0.9", 9999)).toBe("127.0.0.1");
});

test("an internal network has no way out, even for who makes a route", async () => {
  const gateway = await daemon.hullOk([
    "network",
    "inspect",
    "-f",
    "{{(index .IPAM.Config 0).Gateway}}",
    "inside",
  ]);
  await must(...inPlace(inner, "ip", "route", "add", "default", "via", gateway));
  const address = await daemon.hullOk(["inspect", "-f", "{{.NetworkSettings.IPAddress}}", "web"]);
  for (const [target, port] of [
    [far, 7000],
    [address, 8000],
    [host, 18_301],
  ] as const)
    expect([target, await ask(inner, target, port)]).toEqual([target, ""]);
});

test("a bridge that is not Hull's passes on what it did, and the host is no router for others", async () => {
  await must("ip", "link", "add", "other0", "type", "bridge");
  await must("ip", "addr", "add", "192.0.2.1/24", "dev", "other0");
  await must("ip", "link", "set", "other0", "up");
  const [one, two] = [await place(), await place()];
  for (const [index, pid] of [one, two].entries()) {
    const port = `other0p${index}`;
    await must("ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", String(pid));
    await must("ip", "link", "set", port, "master", "other0", "up");
    const set = `ip addr add 192.0.2.1${index}/24 dev eth0; ip link set eth0 up; ip route add default via 192.0.2.1`;
    await must(...inPlace(pid, "sh", "-c", set));
  }
  await tellAddresses(two, 7001);
  expect(await ask(one, "192.0.2.11", 7001)).toBe("192.0.2.10");
  expect((await run(["cat", "/proc/sys/net/ipv4/ip_forward"])).stdout).toBe("1\n");
  await must(...inPlace(world, "ip", "route", "add", "192.0.2.0/24", "via", host));
  expect(await ask(world, "192.0.2.11", 7001)).toBe("");
});

test("a flood of questions for names does not reach the daemon", async () => {
  const gateway = await daemon.hullOk(["inspect", "-f", "{{.NetworkSettings.Gateway}}", "web"]);
  const script = `
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.setsockopt(1, 8, 1 << 22); s.settimeout(1)
s.connect(("${gateway}", 53))
begun = time.monotonic()
for i in range(60000): s.send(b"\\x12\\x34\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0\\3web\\0\\0\\1\\0\\1")
sent = time.monotonic() - begun
got = 0
try:
    while True: s.recv(512); got += 1
except OSError: print(got, sent)`;
  const [answers = 0, seconds = 0] = (await run(inPlace(web, "python3", "-c", script))).stdout
    .split(" ")
    .map(Number);
  expect(answers).toBeGreaterThan(0);
  // Without a limit, half of them were answered.
  expect(answers).toBeLessThan(5000 + 2000 * seconds + 1000);
  expect(await run(inPlace(web, "python3", "-c", script.replace("60000", "5")))).toMatchObject({ code: 0 });
});
