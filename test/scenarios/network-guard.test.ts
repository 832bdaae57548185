/** What a workload that is root sends by hand, as another: its neighbours must not see it. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { WallKind } from "../../src/contract/isolation.ts";
import { run } from "../../src/host/spawn.ts";
import { linkLocalOf } from "../../src/network/firewall/guard.ts";
import { startDaemon, type TestDaemon } from "../support/daemon.ts";
import { arp, frame, icmp6, ip4, type Station, tagged } from "../support/ethernet.ts";
import { framesProgram } from "../support/frames-program.ts";
import { testTimeout, walls } from "../support/scenario.ts";
import { until } from "../support/until.ts";

let daemon: TestDaemon;
let tools: string[];
let victim: Station & { readonly pid: number };
let gateway: { readonly address4: string; readonly address6: string };

const nobody = "00:00:00:00:00:00";
const advertisement = { router: 134, solicitation: 135, neighbour: 136, redirect: 137, report: 143 } as const;

async function inspect(name: string): Promise<Station & { pid: number; gateway4: string; gateway6: string }> {
  const endpoint = '(index .NetworkSettings.Networks "lab")';
  const fields = ["MacAddress", "IPAddress", "GlobalIPv6Address", "Gateway", "IPv6Gateway"];
  const format = [...fields.map((field) => `{{${endpoint}.${field}}}`), "{{.State.Pid}}"].join(" ");
  const words = (await daemon.hullOk(["inspect", "-f", format, name])).split(" ");
  const [mac = "", address4 = "", address6 = "", gateway4 = "", gateway6 = "", pid = ""] = words;
  return { mac, address4, address6, gateway4, gateway6, pid: Number(pid) };
}

beforeAll(async () => {
  daemon = await startDaemon();
  tools = await framesProgram(daemon);
  await daemon.hullOk(["network", "create", "--ipv6", "lab"]);
  await daemon.hullOk(["run", "-d", "--name", "victim", "--network", "lab", "hull/tiny", "sleep", "1000"]);
  const found = await inspect("victim");
  victim = found;
  gateway = { address4: found.gateway4, address6: found.gateway6 };
}, testTimeout);
afterAll(async () => await daemon[Symbol.asyncDispose](), testTimeout);

/** Everything that comes to the victim. */
const atVictim = 's = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)); s.bind(("eth0", 0))';
/** What the host takes as meant for one of its programs. */
const atHost = 's = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("", 9))';

/** What the victim, or the host, sees until it sees the last one: the marks of frames, by number. */
async function seen(count: number, send: () => Promise<void>, where = atVictim): Promise<number[]> {
  const script = `
import socket, re
${where}; s.settimeout(60)
print("ready", flush=True)
found = set()
while ${count - 1} not in found:
    for n in re.findall(rb"HULL(\\d\\d)", s.recv(2048)): found.add(int(n))
print(" ".join(map(str, sorted(found))))`;
  const place = where === atVictim ? ["nsenter", "--net", "--target", String(victim.pid)] : [];
  const sniffer = Bun.spawn([...place, "python3", "-c", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let said = "";
  const reading = (async () => {
    for await (const bytes of sniffer.stdout) said += Buffer.from(bytes).toString();
  })();
  await until("the victim listens", () => Promise.resolve(said.includes("ready\n")));
  await send();
  await reading;
  return (said.split("\n")[1] ?? "").split(" ").map(Number);
}

function attempts(own: Station): { what: string; passes: boolean; of: (mark: Buffer) => Buffer }[] {
  const link = { own: linkLocalOf(own.mac), victim: linkLocalOf(victim.mac) };
  const pass = (what: string, of: (mark: Buffer) => Buffer) => ({ what, passes: true, of });
  const drop = (what: string, of: (mark: Buffer) => Buffer) => ({ what, passes: false, of });
  const claim =
    (hardware: string, sender: string, from = own.mac, answer = true) =>
    (mark: Buffer) =>
      arp(from, { answer, hardware, sender, target: victim.address4 }, mark);
  const tell =
    (type: number, sender: string, target?: string, extension = false) =>
    (mark: Buffer) =>
      icmp6(own.mac, sender, { type, extension, ...(target === undefined ? {} : { target }) }, mark);
  const { router, solicitation, neighbour, redirect, report } = advertisement;
  return [
    pass("its own", (mark) => ip4(own.mac, own.address4, mark)),
    drop("another's hardware address", (mark) => ip4(victim.mac, own.address4, mark)),
    drop("one of nobody's", (mark) => ip4("02:00:00:00:00:99", own.address4, mark)),
    ...[victim.address4, gateway.address4, "203.0.113.9", "127.0.0.1", "0.0.0.0"].map((sender) =>
      drop(`the sender ${sender}`, (mark) => ip4(own.mac, sender, mark)),
    ),
    pass("an ARP answer about itself", claim(own.mac, own.address4)),
    pass("an ARP question", claim(own.mac, own.address4, own.mac, false)),
    pass("an ARP probe", claim(own.mac, "0.0.0.0", own.mac, false)),
    drop("an ARP answer about nothing", claim(own.mac, "0.0.0.0")),
    drop("an ARP answer about the victim", claim(own.mac, victim.address4)),
    drop("an ARP answer about the gateway", claim(own.mac, gateway.address4)),
    drop("an ARP question as the gateway", claim(own.mac, gateway.address4, own.mac, false)),
    drop("an ARP answer with another's hardware address", claim(victim.mac, own.address4)),
    drop("an ARP answer with nobody's", claim(nobody, own.address4)),
    drop("an ARP answer of other lengths", (mark) => {
      const wrong = claim(own.mac, victim.address4)(mark);
      wrong[14 + 5] = 16;
      return wrong;
    }),
    pass("its own IPv6 address", tell(128, own.address6)),
    pass("its own link-local address", tell(128, link.own)),
    drop("the victim's IPv6 address", tell(128, victim.address6)),
    drop("the victim's link-local address", tell(128, link.victim)),
    drop("the gateway's IPv6 address", tell(128, gateway.address6)),
    pass("an advertisement of itself", tell(neighbour, own.address6, own.address6)),
    drop("an advertisement of the victim", tell(neighbour, own.address6, victim.address6)),
    drop("an advertisement of the gateway", tell(neighbour, link.own, gateway.address6)),
    drop("the same behind options", tell(neighbour, link.own, gateway.address6, true)),
    pass("asking for itself before it has an address", tell(solicitation, "::", own.address6)),
    drop("asking so for the victim", tell(solicitation, "::", victim.address6)),
    pass("a report of groups before it has an address", tell(report, "::")),
    drop("anything else without an address", tell(128, "::")),
    drop("a router's advertisement", tell(router, link.own)),
    drop("the same behind options", tell(router, link.own, undefined, true)),
    drop("a router's redirect", tell(redirect, link.own, victim.address6)),
    drop("a VLAN's tag", (mark) => tagged(ip4(own.mac, own.address4, mark))),
    drop("a VLAN's tag before the victim's address", (mark) => tagged(ip4(own.mac, victim.address4, mark))),
    drop("what is neither IP nor ARP", (mark) => frame(own.mac, 0x88_b5, mark)),
    pass("the end", (mark) => ip4(own.mac, own.address4, mark)),
  ];
}

/** The groups of link protocols: these frames end at the bridge. */
const linkGroups = ["00", "02", "03", "0e"].map((last) => `01:80:c2:00:00:${last}`);

const mark = (number: number): Buffer =>
  Buffer.from(`HULL${String(number).padStart(2, "0")}`.padEnd(32, "."));

for (const wall of walls)
  describe(`a hostile neighbour, ${wall} wall`, () => {
    test(
      "sends its own frames, and none of another's",
      async () => {
        const name = `hostile-${wall}`;
        await runHostile(wall, name);
        const tried = attempts(await inspect(name));
        const lines = tried.map(({ of }, index) => of(mark(index)).toString("hex")).join("\n");
        const passed = new Set(await seen(tried.length, () => send(name, lines)));
        const outcome = tried.map(({ what }, index) => ({ what, passes: passed.has(index) }));
        expect(outcome).toEqual(tried.map(({ what, passes }) => ({ what, passes })));
        await daemon.hullOk(["rm", "-f", name]);
      },
      testTimeout,
    );

    test(
      "does not make the bridge believe that the victim is where it is",
      async () => {
        const name = `diverting-${wall}`;
        await runHostile(wall, name);
        const own = await inspect(name);
        const frames = linkGroups.map((group) => frame(victim.mac, 0x88_cc, mark(0), group).toString("hex"));
        await daemon.hullOk(["exec", "victim", "ping", "-c1", "-W5", gateway.address4]);
        const before = await portOf(victim.mac);
        await send(name, frames.join("\n"));
        expect(before).not.toBe("");
        expect(await portOf(victim.mac)).toBe(before);
        // The same with its own hardware address shows that such frames come as far as the bridge.
        await send(name, frames.map((text) => text.replace(hex(victim.mac), hex(own.mac))).join("\n"));
        expect(await portOf(own.mac)).not.toBe(before);
        await daemon.hullOk(["rm", "-f", name]);
      },
      testTimeout,
    );

    test(
      "does not reach the host past the rules about its network, by frames of link protocols",
      async () => {
        const name = `roundabout-${wall}`;
        await runHostile(wall, name);
        const own = await inspect(name);
        const toGroup = (group: string, index: number): string =>
          `${hex(group)}${ip4(own.mac, own.address4, mark(index)).subarray(6).toString("hex")}`;
        // The first one's frames are passed on as all others are; the rest come from the port instead of the bridge.
        const lines = [...linkGroups.slice(1), "ff:ff:ff:ff:ff:ff"].map(toGroup);
        expect(await seen(lines.length, () => send(name, lines.join("\n")), atHost)).toEqual([
          lines.length - 1,
        ]);
        await daemon.hullOk(["rm", "-f", name]);
      },
      testTimeout,
    );
  });

test(
  "the guard holds after a restart and a kill, and is put back when another program flushes it",
  async () => {
    await runHostile("container", "late");
    const own = await inspect("late");
    const lines = [ip4(own.mac, victim.address4, mark(0)), ip4(own.mac, own.address4, mark(1))];
    const tried = (): Promise<number[]> =>
      seen(2, () => send("late", lines.map((line) => line.toString("hex")).join("\n")));
    expect(await tried()).toEqual([1]);
    await daemon.kill9();
    await daemon.start();
    expect(await tried()).toEqual([1]);
    for (const flush of [
      ["flush", "ruleset"],
      ["flush", "set", "bridge", await tableName(), "ports"],
    ]) {
      expect(await run(["nft", ...flush])).toMatchObject({ code: 0 });
      await until("the guard is back", async () => {
        const { stdout } = await run(["nft", "list", "ruleset", "bridge"]);
        return stdout.includes("iifname @ports jump check") && /set ports \{[^}]*elements/.test(stdout);
      });
      expect(await tried()).toEqual([1]);
    }
    await daemon.hullOk(["rm", "-f", "late"]);
    await until("nothing of it is left in the sets", async () => {
      const { stdout } = await run(["nft", "list", "ruleset", "bridge"]);
      return stdout.includes(victim.mac) && !stdout.includes(own.mac);
    });
  },
  testTimeout,
);

async function runHostile(wall: WallKind, name: string): Promise<void> {
  const flags = ["--isolation", wall, "--name", name, "--network", "lab", ...tools];
  await daemon.hullOk(["run", "-d", ...flags, "hull/tiny", "sleep", "1000"]);
}

async function send(name: string, lines: string): Promise<void> {
  await daemon.hullOk(["exec", "-i", name, "/tools/frames", "send", "eth0"], { stdin: `${lines}\n` });
}

/** The bridge's port that a hardware address was last seen at. */
async function portOf(mac: string): Promise<string> {
  const { stdout } = await run(["bridge", "fdb", "show"]);
  const line = stdout.split("\n").find((text) => text.startsWith(mac) && text.includes("master hull-"));
  return line?.split(" ")[2] ?? "";
}

async function tableName(): Promise<string> {
  const { stdout } = await run(["nft", "list", "tables", "bridge"]);
  return stdout.trim().split(" ").at(-1) ?? "";
}

function hex(mac: string): string {
  return mac.replaceAll(":", "");
}
