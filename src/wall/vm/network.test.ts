/** The network's description, by the agent's own code against interfaces in a network name space. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildAgentHarness } from "../../../test/support/agent-harness.ts";
import type { NetworkInterface, SandboxNetwork } from "../wall.ts";
import { FieldReader, FieldWriter } from "./fields.ts";
import { encodeFrame, type Frame, FrameReader } from "./frames.ts";
import { mountFields, networkFields, parameterFields } from "./network.ts";
import { frames, results, verbs } from "./protocol.ts";

const directory = mkdtempSync(join(tmpdir(), "net-"));
const program = join(directory, "harness");
beforeAll(async () => {
  await buildAgentHarness(program);
}, 60_000);
afterAll(() => rmSync(directory, { recursive: true }));

const first: NetworkInterface = {
  name: "eth0",
  mac: "02:42:ac:11:00:02",
  mtu: 1400,
  addresses: ["172.17.0.2/16", "fd00::1:2/64"],
  sysctls: { "net.ipv6.conf.eth0.accept_ra": "0", "net.ipv4.conf.eth0.forwarding": "1" },
};
const second: NetworkInterface = {
  name: "eth1",
  mac: "02:42:0a:00:00:07",
  addresses: ["10.0.0.7/24"],
  card: 1,
};

function networkOf(interfaces: readonly NetworkInterface[], routes: SandboxNetwork["routes"]): Buffer {
  return networkFields({ namespace: "/n", taps: [], interfaces, routes });
}

/** Sends requests to the agent in a name space with two cards, and then has `look` run there. */
async function apply(bodies: readonly Buffer[], look: string) {
  // The harness takes the interfaces card0 and card1 for the machine's network cards.
  const script =
    "ip link add card0 type veth peer name other0; ip link add card1 type veth peer name other1; " +
    `ip link set other0 up; ip link set other1 up; "$0" > ${directory}/answers; ${look}`;
  const agent = Bun.spawn(["unshare", "--net", "sh", "-c", script, program], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "pipe",
    timeout: 30_000,
  });
  bodies.forEach((body, index) => {
    void agent.stdin.write(encodeFrame(frames.request, index + 1, body));
  });
  void agent.stdin.end();
  const [stdout, stderr] = await Promise.all([agent.stdout.text(), agent.stderr.text(), agent.exited]);
  expect(stderr).toBe("");
  const found = new FrameReader(() => true).push(
    Buffer.from(await Bun.file(`${directory}/answers`).arrayBuffer()),
  );
  const answers = [...found].filter(({ type }) => type === frames.response).map(answerOf);
  return { stdout, answers };
}

function answerOf({ payload }: Frame): readonly [number, string] {
  const fields = new FieldReader(payload);
  return [fields.u8(), fields.string()];
}

function setNetwork(fields: Buffer): Buffer {
  return new FieldWriter().u8(verbs.setNetwork).bytes(fields).take();
}

const route = { destination: "0.0.0.0/0", gateway: "172.17.0.1", interface: "eth0" };

test("interfaces get their names, addresses, parameters and routes", async () => {
  const routes = [
    route,
    { destination: "fd01::/32", gateway: "fd00::1", interface: "eth0", metric: 7 },
    { destination: "192.168.0.0/16", interface: "eth1" },
  ];
  const look =
    "ip -j address show eth0; ip -j address show eth1; ip -j route; ip -j -6 route show fd01::/32; " +
    "cat /proc/sys/net/ipv6/conf/eth0/accept_ra /proc/sys/net/ipv4/conf/eth0/forwarding";
  const { stdout, answers } = await apply([setNetwork(networkOf([first, second], routes))], look);
  expect(answers).toEqual([[results.ok, ""]]);
  const [eth0, eth1, route4, route6, ...parameters] = stdout.trim().split("\n");
  const [link] = JSON.parse(eth0 ?? "");
  expect(link).toMatchObject({ address: first.mac, mtu: 1400 });
  expect(link.flags).toContain("UP");
  expect(link.addr_info).toContainEqual(
    expect.objectContaining({ local: "172.17.0.2", prefixlen: 16, broadcast: "172.17.255.255" }),
  );
  const six = link.addr_info.find(({ local }: { readonly local: string }) => local === "fd00::1:2");
  // Nothing waits until a neighbour may have answered.
  expect(six).toMatchObject({ prefixlen: 64 });
  expect(six).not.toHaveProperty("tentative");
  expect(JSON.parse(eth1 ?? "")[0]).toMatchObject({ address: second.mac });
  expect(JSON.parse(route4 ?? "")).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ dst: "default", gateway: "172.17.0.1", dev: "eth0" }),
      expect.objectContaining({ dst: "192.168.0.0/16", dev: "eth1", scope: "link" }),
    ]),
  );
  expect(JSON.parse(route6 ?? "")).toEqual([
    expect.objectContaining({ gateway: "fd00::1", dev: "eth0", metric: 7 }),
  ]);
  expect(parameters).toEqual(["0", "1"]);
});

test("a change takes away what is gone, and leaves alone what stays", async () => {
  const other = { ...route, gateway: "172.17.0.9", metric: 5 };
  const { stdout, answers } = await apply(
    [
      setNetwork(networkOf([first, second], [route])),
      setNetwork(networkOf([first], [other])),
      setNetwork(networkOf([first, { ...second, name: "back" }], [other])),
    ],
    "ip -j -d link; ip -j route show default; true",
  );
  expect(answers).toEqual(Array(3).fill([results.ok, ""]));
  const [links, routes] = stdout.trim().split("\n");
  const names = JSON.parse(links ?? "").map(({ ifname }: { readonly ifname: string }) => ifname);
  expect(names).toEqual(expect.arrayContaining(["eth0", "back"]));
  expect(names).not.toContain("eth1");
  expect(JSON.parse(routes ?? "")).toEqual([expect.objectContaining({ gateway: "172.17.0.9", metric: 5 })]);
});

test("what is malformed or impossible is refused with a reason", async () => {
  const whole = networkOf([first], [route]);
  const { answers } = await apply(
    [
      setNetwork(whole.subarray(0, whole.length - 3)),
      setNetwork(Buffer.concat([whole.subarray(0, 4), Buffer.alloc(4, 255), whole.subarray(8)])),
      setNetwork(networkOf([{ ...first, mac: "02:42" }], [])),
      setNetwork(networkOf([{ ...first, sysctls: { "net.ipv4.no_such": "1" } }], [])),
      setNetwork(networkOf([{ ...first, sysctls: { "net/../../../etc/hostname": "1" } }], [])),
      setNetwork(networkOf([{ ...first, card: 3 }], [])),
    ],
    "true",
  );
  expect(answers.map(([result]) => result)).toEqual([
    results.invalid,
    results.invalid,
    results.invalid,
    results.failed,
    results.failed,
    results.invalid,
  ]);
  expect(answers[3]?.[1]).toContain("net/ipv4/no_such");
  expect(answers[5]?.[1]).toContain("no network card 3");
});

test("IPv6 addresses have their bytes, whatever the way they are written", () => {
  const bytes = (address: string): string =>
    networkOf([{ ...second, addresses: [address] }], []).toString("hex");
  for (const [address, expected] of [
    ["::/0", "0".repeat(32)],
    ["::1", `${"0".repeat(31)}1`],
    ["fe80::1:0:2", `fe80${"0".repeat(19)}100000002`],
    ["1:2:3:4:5:6:7:8", "00010002000300040005000600070008"],
    ["::ffff:1.2.3.4", `${"0".repeat(20)}ffff01020304`],
  ] as const)
    expect(bytes(address)).toContain(`10000000${expected}`);
  expect(() => bytes("here")).toThrow("here is no address");
});

test("names of parameters and mounts are what the agent takes them for", () => {
  expect(parameterFields({ "net.ipv4.conf.eth0/1.forwarding": "1" }).toString()).toContain(
    "net/ipv4/conf/eth0.1/forwarding",
  );
  const fields = new FieldReader(
    mountFields([
      { type: "tmpfs", source: "", target: "/t", readOnly: false, options: ["noexec", "size=1m"] },
      { type: "bind", source: "/on/host", target: "/b", readOnly: true, options: ["nosuid"] },
      {
        ...{ type: "tmpfs", source: "", target: "/e", readOnly: false },
        options: ["nosuid", "dev", "exec", "mode=700", "noexec", "exec", "noatime", "diratime"],
      },
    ]),
  );
  expect(fields.u32()).toBe(3);
  const entry = () => [fields.u8(), fields.string(), fields.string(), fields.u32(), fields.string()];
  expect(entry()).toEqual([1, "", "/t", 8, "size=1m"]);
  expect(entry()).toEqual([0, "0", "/b", 3, ""]);
  expect(entry()).toEqual([1, "", "/e", 18, "mode=700"]);
});
