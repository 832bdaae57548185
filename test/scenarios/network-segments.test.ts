/** How large the pieces are that the host hands to a network, and that what it sends comes through whole either way. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { findLink } from "../../src/host/network/links.ts";
import { NetlinkSocket } from "../../src/host/network/netlink.ts";
import { run } from "../../src/host/spawn.ts";
import { startDaemon, type TestDaemon } from "../support/daemon.ts";
import { testTimeout } from "../support/scenario.ts";
import { until } from "../support/until.ts";

let daemon: TestDaemon;
/** What interfaces take as they are made, and what those of networks of containers are to take. */
const [usual, large] = [65_536, 262_144];

beforeAll(async () => {
  daemon = await startDaemon();
}, testTimeout);
afterAll(async () => await daemon[Symbol.asyncDispose](), testTimeout);

async function runOn(wall: string, name: string, network: string): Promise<void> {
  const flags = ["-d", "--isolation", wall, "--name", name, "--network", network];
  await daemon.hullOk(["run", ...flags, "hull/tiny", "sleep", "1000"]);
}

/** Bytes that an interface of the host's takes at most; undefined where the kernel does not say (before 6.3). */
function pieces(link: string): number | undefined {
  using socket = new NetlinkSocket();
  const found = findLink(socket, link)?.largestSegment4;
  return found === 0 ? undefined : found;
}

async function bridgeOf(network: string): Promise<string> {
  const id = await daemon.hullOk(["network", "inspect", "-f", "{{.Id}}", network]);
  return `hull-${id.trim().slice(0, 10)}`;
}

function inspect(name: string, what: string): Promise<string> {
  return daemon.hullOk(["inspect", "-f", `{{${what}}}`, name]);
}

const pattern = 'b"".join(struct.pack("<I", at * 4) for at in range(12 * 1024 * 1024))';

/** Sends 48 MiB of which no two words are the same, and tells their digest. */
async function send(address: string): Promise<string> {
  const script = `
import hashlib, socket, struct
data = ${pattern}
with socket.create_connection(("${address}", 7000)) as s:
    s.sendall(data)
print(hashlib.sha256(data).hexdigest(), end="")`;
  const { code, stdout } = await run(["python3", "-c", script]);
  expect(code).toBe(0);
  return stdout;
}

/** Whether the workload got what the host sent it. */
async function transfers(name: string, network: string): Promise<boolean> {
  const address = await inspect(name, `(index .NetworkSettings.Networks "${network}").IPAddress`);
  const receiving = daemon.hullOk(["exec", name, "sh", "-c", "nc -l -p 7000 | sha256sum"]);
  await until("the workload listens", async () =>
    (await daemon.hullOk(["exec", name, "netstat", "-ltn"])).includes(":7000 "),
  );
  const digest = await send(address);
  return (await receiving).startsWith(digest);
}

/** The largest packet of IPv4 that comes to a container while `work` goes on, in bytes. */
async function largestReceived(name: string, work: () => Promise<unknown>): Promise<number> {
  const script = `
import select, socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800)); s.bind(("eth0", 0))
print("ready", flush=True)
largest, room = 0, bytearray(1 << 20)
while sys.stdin not in (ready := select.select([s, sys.stdin], [], [])[0]):
    largest = max(largest, s.recv_into(room))
print(largest)`;
  const pid = await inspect(name, ".State.Pid");
  const command = ["nsenter", "--net", "--target", pid.trim(), "python3", "-c", script];
  const sniffer = Bun.spawn(command, { stdio: ["pipe", "pipe", "inherit"] });
  let said = "";
  const reading = (async () => {
    for await (const bytes of sniffer.stdout) said += Buffer.from(bytes).toString();
  })();
  await until("somebody looks", () => Promise.resolve(said.includes("ready\n")));
  await work();
  await sniffer.stdin.end();
  await reading;
  return Number(said.split("\n")[1]);
}

test(
  "the host hands a network large pieces as long as no machine is on it",
  async () => {
    await daemon.hullOk(["network", "create", "sized"]);
    const bridge = await bridgeOf("sized");
    await runOn("container", "alone", "sized");
    const known = pieces(bridge);
    if (known !== undefined) expect(known).toBe(large);
    const largest = await largestReceived("alone", async () => {
      expect(await transfers("alone", "sized")).toBe(true);
    });
    // A large piece is more than a packet's header could tell the length of.
    expect(largest > usual).toBe(known !== undefined);

    await runOn("vm", "machine", "sized");
    const sizes = (): (number | undefined)[] => [pieces(bridge)];
    expect(sizes()).toEqual([known === undefined ? undefined : usual]);
    expect(await transfers("machine", "sized")).toBe(true);
    expect(await transfers("alone", "sized")).toBe(true);
    await daemon.kill9();
    await daemon.start();
    expect(sizes()).toEqual([known === undefined ? undefined : usual]);
    await daemon.hullOk(["network", "disconnect", "sized", "machine"]);
    expect(sizes()).toEqual([known]);
    await daemon.hullOk(["network", "connect", "sized", "machine"]);
    expect(sizes()).toEqual([known === undefined ? undefined : usual]);
    await daemon.hullOk(["rm", "-f", "machine"]);
    expect(sizes()).toEqual([known]);
    await daemon.hullOk(["rm", "-f", "alone"]);
    await daemon.hullOk(["network", "rm", "sized"]);
  },
  testTimeout,
);
