/** A workload that is root in its network: packets under another's name, routes that it was not given. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { run, type Spawned, start } from "../../src/host/spawn.ts";
import { startDaemon, type TestDaemon } from "../support/daemon.ts";
import { until } from "../support/until.ts";

const timeout = 240_000;
/** The host's address towards the world, and the world's. */
const [host, world] = ["198.51.100.1", "198.51.100.2"];

let daemon: TestDaemon;
let outside: Spawned | undefined;
let outsidePid = 0;

function inPlace(pid: number, ...command: readonly string[]): string[] {
  return ["nsenter", "--net", "--target", String(pid), ...command];
}

async function must(...command: readonly string[]): Promise<string> {
  const result = await run(command);
  expect(result).toMatchObject({ code: 0, stderr: "" });
  return result.stdout.trim();
}

async function inspect(name: string, member: string): Promise<string> {
  return await daemon.hullOk(["inspect", "-f", `{{${member}}}`, name]);
}

beforeAll(async () => {
  daemon = await startDaemon();
  outside = start(["unshare", "--net", "sleep", "1000"], { stdio: ["ignore", "ignore", "ignore"] });
  outsidePid = outside.pid;
  await until("the world is there", async () => {
    const places = await Promise.all(
      ["self", outsidePid].map((pid) => run(["readlink", `/proc/${pid}/ns/net`])),
    );
    return new Set(places.map(({ stdout }) => stdout)).size === 2;
  });
  await must("ip", "link", "add", "up0", "type", "veth", "peer", "name", "eth0", "netns", String(outsidePid));
  await must("ip", "addr", "add", `${host}/24`, "dev", "up0");
  await must("ip", "link", "set", "up0", "up");
  const script = `ip addr add ${world}/24 dev eth0; ip link set eth0 up; ip route add 172.16.0.0/12 via ${host}`;
  await must(...inPlace(outsidePid, "sh", "-c", script));
  await daemon.hullOk(["network", "create", "--internal", "inside"]);
  await daemon.hullOk(["run", "-d", "--name", "liar", "hull/tiny", "sleep", "1000"]);
  await daemon.hullOk(["run", "-d", "--name", "inner", "--network", "inside", "hull/tiny", "sleep", "1000"]);
}, timeout);
afterAll(async () => {
  outside?.kill("SIGKILL");
  await outside?.exited;
  await daemon[Symbol.asyncDispose]();
}, timeout);

/**
 * Sends a packet from `sources` one after the other, from the place of `from` to an address that is listened on in the
 * place of `to`; resolves to the senders that were seen until the last one was.
 */
async function sendersSeen(
  from: number,
  to: number | "self",
  address: string,
  sources: readonly string[],
): Promise<string[]> {
  const script = `
import ctypes, os, socket, struct
libc = ctypes.CDLL(None)
def enter(pid):
    with open("/proc/%s/ns/net" % pid) as place: assert libc.setns(place.fileno(), 0) == 0
listener_at, sender_at = "${to}", "${from}"
if listener_at != "self": enter(listener_at)
listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
listener.bind(("0.0.0.0", 7001)); listener.settimeout(10)
enter(sender_at)
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
sources = "${sources.join(" ")}".split()
for source in sources:
    said = source.encode()
    datagram = struct.pack("!HHHH", 7000, 7001, 8 + len(said), 0) + said
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(datagram), 0, 0, 64, 17, 0,
        socket.inet_aton(source), socket.inet_aton("${address}"))
    raw.sendto(head + datagram, ("${address}", 0))
while True:
    said = listener.recv(99).decode()
    print(said)
    if said == sources[-1]: break`;
  return (await must("python3", "-c", script)).split("\n");
}

test(
  "nothing leaves the host under an address that is no workload's",
  async () => {
    const [pid, own] = [
      Number(await inspect("liar", ".State.Pid")),
      await inspect("liar", ".NetworkSettings.IPAddress"),
    ];
    expect(await sendersSeen(pid, outsidePid, world, ["203.0.113.77", own])).toEqual([own]);
  },
  timeout,
);

test(
  "nobody on a network passes for the host's loopback address",
  async () => {
    const [pid, own] = [
      Number(await inspect("liar", ".State.Pid")),
      await inspect("liar", ".NetworkSettings.IPAddress"),
    ];
    const gateway = await inspect("liar", ".NetworkSettings.Gateway");
    expect(await sendersSeen(pid, "self", gateway, ["127.0.0.1", own])).toEqual([own]);
  },
  timeout,
);

test(
  "a workload of an internal network that makes a route for itself reaches the host at the gateway only",
  async () => {
    const pid = Number(await inspect("inner", ".State.Pid"));
    const gateway = await daemon.hullOk([
      "network",
      "inspect",
      "-f",
      "{{(index .IPAM.Config 0).Gateway}}",
      "inside",
    ]);
    await must(...inPlace(pid, "ip", "route", "add", "default", "via", gateway));
    const server = start(["python3", "-m", "http.server", "7002"], { stdio: ["ignore", "ignore", "ignore"] });
    try {
      const reaches = async (address: string): Promise<boolean> => {
        const script = `import socket; socket.create_connection(("${address}", 7002), 1.5)`;
        return (await run(inPlace(pid, "python3", "-c", script))).code === 0;
      };
      await until("the host's server is reached at the gateway", () => reaches(gateway));
      expect(await reaches(host)).toBe(false);
    } finally {
      server.kill("SIGKILL");
      await server.exited;
    }
  },
  timeout,
);

test(
  "the host believes no routes that a workload announces, and keeps its own hardware address",
  async () => {
    const bridge = await daemon.hullOk([
      ...["network", "inspect", "-f"],
      '{{index .Options "com.docker.network.bridge.name"}}',
      "bridge",
    ]);
    const address = async (): Promise<string> => await must("ip", "-o", "link", "show", "dev", bridge);
    for (const name of ["ipv6/conf/BRIDGE/accept_ra", "ipv4/conf/BRIDGE/accept_redirects"])
      expect(readFileSync(`/proc/sys/net/${name.replace("BRIDGE", bridge)}`, "utf8").trim()).toBe("0");
    const before = /link\/ether (\S+)/.exec(await address())?.[1];
    expect(before).toMatch(/^02:48:/);
    for (const name of ["one", "two", "three"])
      await daemon.hullOk(["run", "-d", "--name", name, "hull/tiny", "sleep", "1000"]);
    expect(/link\/ether (\S+)/.exec(await address())?.[1]).toBe(before);
    const pid = Number(await inspect("one", ".State.Pid"));
    expect(await must(...inPlace(pid, "sh", "-c", "cat /proc/sys/net/ipv6/conf/eth0/accept_ra"))).toBe("0");
  },
  timeout,
);

test(
  "a workload that makes up hardware addresses does not fill the host's memory with them",
  async () => {
    const pid = Number(await inspect("liar", ".State.Pid"));
    const script = `
import socket
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(("eth0", 0))
for number in range(20000):
    s.send(b"\\xff" * 6 + b"\\x06\\0" + number.to_bytes(4, "big") + b"\\x88\\xb5" + bytes(46))`;
    await must(...inPlace(pid, "python3", "-c", script));
    const learned = (await must("bridge", "fdb", "show")).match(/^06:00:/gm) ?? [];
    expect(learned).toEqual([]);
    // A neighbour that came before and one that comes now are reached all the same.
    await daemon.hullOk(["run", "-d", "--name", "late", "hull/tiny", "sleep", "1000"]);
    for (const name of ["liar", "late"]) {
      const address = await inspect(name, ".NetworkSettings.IPAddress");
      await daemon.hullOk(["run", "--rm", "hull/tiny", "ping", "-c", "1", "-W", "5", address]);
    }
  },
  timeout,
);
