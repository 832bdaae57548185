/** What fills a machine's places when it starts, from a template or by a boot: taps behind its cards, volumes. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lendAcceleration } from "../../../test/support/known-acceleration.ts";
import { makeTinyLayer, type TinyLayer } from "../../../test/support/tiny-layer.ts";
import { vmSpec, vmWallOptions } from "../../../test/support/vm-wall.ts";
import { run } from "../../host/spawn.ts";
import type { SandboxSpec } from "../wall.ts";
import { jailUser } from "./jail-identity.ts";
import { createVmWall } from "./vm-wall.ts";

const patience = 180_000;
const directory = mkdtempSync(join(tmpdir(), "plc-"));
let layer: TinyLayer;
let count = 0;
beforeAll(async () => {
  layer = await makeTinyLayer({ "srv/other": "hidden\n" });
});
afterAll(async () => {
  await layer[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

async function wallOf(templates: boolean) {
  const stateDirectory = join(directory, `s${++count}`);
  mkdirSync(stateDirectory);
  lendAcceleration(stateDirectory);
  return createVmWall(
    vmWallOptions(stateDirectory, { templateDirectory: join(directory, "templates"), templates }),
  );
}

function specOf(script: string, changes: Partial<SandboxSpec>): SandboxSpec {
  return vmSpec({ directory, layers: [layer.path] }, script, changes);
}

async function outputOf(spec: SandboxSpec, templates: boolean): Promise<string> {
  const wall = await wallOf(templates);
  try {
    const sandbox = await wall.create(spec);
    try {
      const attachment = await sandbox.attach({ stdin: false });
      await sandbox.start();
      const parts: Uint8Array[] = [];
      for await (const { data } of attachment.output) parts.push(data);
      return Buffer.concat(parts).toString();
    } finally {
      await sandbox.remove();
    }
  } finally {
    await wall.close();
  }
}

async function ip(...args: readonly string[]): Promise<void> {
  const { code, stderr } = await run(["ip", ...args]);
  if (code !== 0) throw new Error(`ip ${args.join(" ")}: ${stderr}`);
}

/** A name space with two taps of a user's, and the host's address on each. */
async function makeNetwork(user: number) {
  const name = `hull-test-${process.pid}-${++count}`;
  await ip("netns", "add", name);
  for (const index of [0, 1]) {
    const tap = `tap${index}`;
    await ip("-n", name, "tuntap", "add", tap, "mode", "tap", "vnet_hdr", "user", String(user));
    await ip("-n", name, "address", "add", `10.9.${index}.1/24`, "dev", tap);
    await ip("-n", name, "link", "set", tap, "up");
  }
  return { name, namespace: `/run/netns/${name}`, [Symbol.asyncDispose]: () => ip("netns", "delete", name) };
}

/** How many have come out of the guest. */
async function packetsOf(namespace: string, tap: string): Promise<number> {
  const { stdout } = await run(["ip", "-n", namespace, "-j", "-s", "link", "show", tap]);
  return JSON.parse(stdout)[0].stats64.rx.packets;
}

describe.each([
  ["a template", true],
  ["a boot", false],
])("a machine that starts from %s", (_, templates) => {
  test(
    "reaches what is behind its taps, with the addresses and the parameters it was given",
    async () => {
      const script =
        "ping -c 1 -W 20 10.9.0.1 >/dev/null && ping -c 1 -W 20 10.9.1.1 >/dev/null && echo reached; " +
        "ip address show lan | grep ether; cat /proc/sys/net/ipv4/ip_forward; ls /sys/class/net | grep -c .";
      const spec = specOf(script, { sysctls: { "net.ipv4.ip_forward": "1" } });
      await using network = await makeNetwork(jailUser(spec));
      const interfaces = ["lan", "eth1"].map((name, index) => ({
        name,
        mac: `02:42:0a:09:00:0${index + 1}`,
        addresses: [`10.9.${index}.2/24`],
      }));
      const taps = ["tap0", "tap1"];
      const { namespace } = network;
      const whole = { ...spec, network: { namespace, taps, interfaces, routes: [] } };
      const [reached, ether, forward, links] = (await outputOf(whole, templates)).trim().split("\n");
      expect(reached).toBe("reached");
      expect(ether).toContain("02:42:0a:09:00:01");
      expect(forward).toBe("1");
      // Cards that nobody uses are not to be seen: there are these two and loopback.
      expect(links).toBe("3");
    },
    patience,
  );

  test(
    "has the addresses that its identity gives it, and has sent nothing before",
    async () => {
      const script =
        "ip address show eth0; ip route; ls /sys/class/net; cat /proc/sys/net/ipv6/conf/eth0/disable_ipv6";
      for (const silent of [true, false]) {
        // An interface that has just come up gives itself its address a moment later.
        const wait = silent ? "" : "until ip address show eth0 | grep -q inet6; do sleep 0.1; done; ";
        const spec = specOf(wait + script, {});
        await using network = await makeNetwork(jailUser(spec));
        const mac = "02:42:0a:09:00:17";
        const sysctls = {
          [`net.ipv6.conf.eth0.${silent ? "disable_ipv6" : "accept_ra"}`]: silent ? "1" : "0",
        };
        const interfaces = [{ name: "eth0", mac, mtu: 1400, addresses: ["10.9.0.2/24"], sysctls }];
        const routes = [{ destination: "0.0.0.0/0", gateway: "10.9.0.1", interface: "eth0" }];
        const { namespace } = network;
        const output = await outputOf(
          { ...spec, network: { namespace, taps: ["tap0"], interfaces, routes } },
          templates,
        );
        expect(output).toContain(`link/ether ${mac}`);
        expect(output).toContain("mtu 1400");
        expect(output).toContain("inet 10.9.0.2/24 brd 10.9.0.255");
        expect(output).toContain("default via 10.9.0.1 dev eth0");
        expect(output).toEndWith(`\neth0\nlo\n${silent ? "1" : "0"}\n`);
        // The address that an interface gives itself is made of its hardware address.
        expect(output.match(/inet6 \S+/g) ?? []).toEqual(silent ? [] : ["inet6 fe80::42:aff:fe09:17/64"]);
        // Neither QEMU nor the guest has told the network of an address.
        if (silent) expect(await packetsOf(network.name, "tap0")).toBe(0);
      }
    },
    patience,
  );

  test(
    "has loopback only when it has no network",
    async () => {
      const script =
        "ls /sys/class/net; grep -c : /proc/net/dev; ping -c 1 -W 20 127.0.0.1 >/dev/null && echo lo; " +
        "cat /proc/sys/net/ipv4/ip_forward";
      const spec = specOf(script, { sysctls: { "net.ipv4.ip_forward": "1" } });
      expect(await outputOf(spec, templates)).toBe("lo\n1\nlo\n1\n");
    },
    patience,
  );

  test(
    "has the host's directories and files where it was told, and no other",
    async () => {
      const volume = mkdtempSync(join(directory, "volume-"));
      const closed = mkdtempSync(join(directory, "closed-"));
      const file = join(directory, `file${++count}`);
      writeFileSync(join(volume, "from-host"), "hello\n");
      writeFileSync(join(closed, "kept"), "kept\n");
      writeFileSync(file, "one file\n");
      const script =
        "cat /data/from-host /srv/kept /etc/one-file; cat /srv/other 2>/dev/null; echo back > /data/from-guest; " +
        "echo no > /srv/kept; ls /srv; grep -c 9p /proc/mounts; df /tmp/t | grep -c 1024; ls /share";
      const spec = specOf(script, {
        mounts: [
          { type: "bind", source: volume, target: "/data", readOnly: false, options: ["nosuid"] },
          { type: "bind", source: closed, target: "/srv", readOnly: true, options: [] },
          { type: "tmpfs", source: "", target: "/tmp/t", readOnly: false, options: ["size=1m", "noexec"] },
          { type: "bind", source: file, target: "/etc/one-file", readOnly: false, options: [] },
        ],
      });
      // Their owners are who they are on the host, and may keep others out.
      for (const path of [volume, file]) chownSync(path, 1234, 4321);
      for (const path of [volume, closed]) chmodSync(path, 0o700);
      const output = await outputOf(spec, templates);
      expect(output).toStartWith("hello\nkept\none file\n");
      expect(output).toContain("/srv/kept: Read-only file system");
      expect(output).not.toContain("hidden");
      expect(output).toEndWith("kept\n3\n1\nls: /share: No such file or directory\n");
      expect(readFileSync(join(volume, "from-guest"), "utf8")).toBe("back\n");
      expect(readFileSync(join(closed, "kept"), "utf8")).toBe("kept\n");
    },
    patience,
  );
});
