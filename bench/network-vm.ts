/**
 * The network of a virtual machine against that of a bare QEMU whose tap is on a bare bridge: the same QEMU, kernel, initramfs,
 * processor and card, without a jail, a splice and a packet filter. Throughput by iperf3 in the guest, both ways, and the time
 * of an echo, from the host.
 *
 *   scripts/bun bench/network-vm.ts [--seconds N] [--rounds N]     # needs ip, cpio, busybox-static
 */
import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { median } from "../src/compare/report.ts";
import { inPrivateMountNamespace } from "../src/host/mount-namespace.ts";
import { run } from "../src/host/spawn.ts";
import { qemuArguments } from "../src/wall/vm/arguments.ts";
import { projectRoot, runProgram, startDaemon } from "../test/support/daemon.ts";
import { startAgainInOwnNamespaces } from "../test/support/own-namespaces.ts";
import { until } from "../test/support/until.ts";
import { background, end, inTurns, must, reportRatio } from "./network-places.ts";
import { iperf, networkTools, unpackNetworkTools } from "./peers.ts";

if (!inPrivateMountNamespace()) await unpackNetworkTools();
startAgainInOwnNamespaces();

const { values } = parseArgs({
  options: { seconds: { type: "string", default: "3" }, rounds: { type: "string", default: "3" } },
});
const seconds = Number(values.seconds);
const rounds = Number(values.rounds);
const guest = join(projectRoot, ".cache/guest");
const serverPort = 5201;

/** iperf3 with its libraries, and busybox: the same files for both machines. */
async function makeRoot(directory: string): Promise<void> {
  for (const name of ["bin", "lib", "lib64", "dev", "tmp"])
    await mkdir(join(directory, name), { recursive: true });
  await copyFile("/bin/busybox", join(directory, "bin/busybox"));
  const [program = "", libraries = ""] = [join(networkTools, "usr/bin/iperf3"), networkTools];
  await copyFile(program, join(directory, "bin/iperf3"));
  const said = await must([
    "env",
    `LD_LIBRARY_PATH=${join(libraries, "usr/lib/x86_64-linux-gnu")}`,
    "ldd",
    program,
  ]);
  for (const [, path = ""] of said.matchAll(/(\/\S+) \(0x/g)) {
    const name = path.split("/").at(-1) ?? "";
    await copyFile(path, join(directory, name.startsWith("ld-linux") ? "lib64" : "lib", name));
  }
}

const server = ["/bin/iperf3", "-s", "-p", String(serverPort)];
const bareAddress = "10.201.0.2";

/** What the bare machine starts as its first program: the modules of the card, an address, the server. */
const init = `#!/bin/busybox sh
B=/bin/busybox
for m in virtio virtio_ring virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci failover net_failover virtio_net
do $B insmod /modules/$m.ko; done
$B mount -t devtmpfs dev /dev
$B ip link set lo up
$B ip addr add ${bareAddress}/24 dev eth0
$B ip link set eth0 up
export LD_LIBRARY_PATH=/lib
exec ${server.join(" ")}
`;

async function bareInitramfs(root: string, path: string): Promise<void> {
  await writeFile(join(root, "bench"), init);
  await chmod(join(root, "bench"), 0o755);
  const pack = `cd '${root}' && find . | cpio -o -H newc --quiet`;
  const packed = await runProgram(["sh", "-c", pack]);
  if (packed.code !== 0) throw new Error(packed.stderr);
  // The kernel unpacks archives one after the other.
  await writeFile(path, Buffer.concat([await readFile(join(guest, "initramfs.cpio")), packed.stdoutBytes]));
}

/** The arguments of Hull's own machine that is running, so that the bare one differs in nothing that is not meant. */
async function argumentsOfMachine(name: string): Promise<string[]> {
  for (const pid of (await readdir("/proc")).filter((entry) => /^\d+$/.test(entry))) {
    const line = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (line.includes(`hull-${name}`) && line.includes("qemu-system"))
      return line.split("\0").filter(Boolean);
  }
  throw new Error("the machine's QEMU was not found");
}

async function startBare(initramfs: string, like: readonly string[]) {
  const taken = (flag: string): string[] => {
    const at = like.indexOf(flag);
    return at < 0 ? [] : [flag, (like[at + 1] ?? "").replace(/,memory-backend=\w+/, "")];
  };
  await must(["ip", "link", "add", "bare0", "type", "bridge"]);
  await must(["ip", "tuntap", "add", "dev", "baretap", "mode", "tap", "vnet_hdr"]);
  await must(["ip", "link", "set", "baretap", "master", "bare0", "up"]);
  await must(["ip", "addr", "add", "10.201.0.1/24", "dev", "bare0"]);
  await must(["ip", "link", "set", "bare0", "up"]);
  const words = qemuArguments({
    ...{
      qemu: "",
      name: "",
      acceleration: like.includes("kvm") ? "kvm" : "tcg",
      memoryBytes: 0,
      processors: 1,
    },
    ...{ kernel: "", initramfs: "", agentSocket: "", monitorSocket: "", layers: [], share: "", taps: [] },
  });
  const kernelWords = words[words.indexOf("-append") + 1] ?? "";
  return background("here", [
    like[0] ?? "",
    ...["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-bios", "qboot.rom"],
    ...["-machine", "-accel", "-cpu", "-smp", "-m"].flatMap(taken),
    ...["-kernel", join(guest, "vmlinux"), "-initrd", initramfs],
    ...["-append", `${kernelWords} rdinit=/bench`],
    ...["-netdev", "tap,id=card0,ifname=baretap,script=no,downscript=no,vnet_hdr=on"],
    ...["-device", "virtio-net-pci,id=card0,romfile=,netdev=card0,mac=02:42:0a:c9:00:02"],
  ]);
}

/** Median microseconds from an ICMP echo to its answer. */
async function echoTime(address: string): Promise<number> {
  const script = `
import socket, struct, time
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP); s.settimeout(5); s.connect(("${address}", 0))
times = []
for number in range(400):
    head = struct.pack("!BBHHH", 8, 0, 0, 7, number)
    words = sum(struct.unpack("!4H", head)); total = (words & 0xffff) + (words >> 16)
    t = time.perf_counter(); s.send(head[:2] + struct.pack("!H", ~total & 0xffff) + head[4:])
    while True:
        answer = s.recv(99)
        if answer[20] == 0 and answer[26:28] == head[6:8]: break
    times.append(time.perf_counter() - t)
print(sorted(times)[200] * 1e6)`;
  return Number(await must(["python3", "-c", script]));
}

async function throughput(address: string, direction: "in" | "out"): Promise<number> {
  const flags = ["-t", String(seconds), "-J", ...(direction === "out" ? ["-R"] : [])];
  const report = JSON.parse(await must(iperf("-c", address, "-p", String(serverPort), ...flags)));
  if (report.error !== undefined) throw new Error(`iperf3 to ${address}: ${report.error}`);
  return report.end.sum_received.bits_per_second;
}

/** By a whole test: a connection that only comes and goes keeps the server busy for a moment. */
async function answers(address: string): Promise<void> {
  const ask = iperf("-c", address, "-p", String(serverPort), "-n", "1K", "--connect-timeout", "2000");
  await until(`${address} answers`, async () => (await run(ask)).code === 0, 120_000);
}

const kept: boolean[] = [];
const directory = await mkdtemp(join(tmpdir(), "bench-vm-"));
try {
  const root = join(directory, "root");
  await mkdir(root);
  await makeRoot(root);
  await using daemon = await startDaemon();
  const { stdoutBytes } = await runProgram(["tar", "-C", root, "-c", "."]);
  await daemon.hullOk(["import", "-", "bench/iperf"], { stdin: stdoutBytes });
  const flags = ["-d", "--isolation", "vm", "--name", "machine", "-e", "LD_LIBRARY_PATH=/lib"];
  await daemon.hullOk(["run", ...flags, "bench/iperf", ...server], { timeoutMs: 180_000 });
  const id = await daemon.hullOk(["inspect", "-f", "{{.Id}}", "machine"]);
  const address = await daemon.hullOk(["inspect", "-f", "{{.NetworkSettings.IPAddress}}", "machine"]);
  const initramfs = join(directory, "initramfs");
  await bareInitramfs(root, initramfs);
  const bare = await startBare(initramfs, await argumentsOfMachine(id.slice(0, 12)));
  try {
    await answers(address);
    await answers(bareAddress);
    const megabits = (figures: readonly number[] = []): string =>
      `${(median(figures) / 1e6).toFixed(0)} Mbit/s`;
    for (const direction of ["in", "out"] as const) {
      const both = [address, bareAddress].map((target) => () => throughput(target, direction));
      const [ours, theirs] = await inTurns(both, rounds);
      const figures = `${megabits(ours)} against a bare QEMU's ${megabits(theirs)}`;
      kept.push(reportRatio(`machine, ${direction}, ${figures}`, ours, theirs, { least: 0.95 }));
    }
    const [ours = [], theirs = []] = await inTurns(
      [address, bareAddress].map((target) => () => echoTime(target)),
      rounds,
    );
    const figures = `${median(ours).toFixed(0)} µs against ${median(theirs).toFixed(0)} µs`;
    kept.push(reportRatio(`echo of a machine, ${figures}`, ours, theirs, { most: 1.1 }));
  } finally {
    await end(bare);
    await run(["ip", "link", "delete", "baretap"]);
    await run(["ip", "link", "delete", "bare0"]);
    await daemon.hullOk(["rm", "-f", "machine"]);
  }
} finally {
  await rm(directory, { recursive: true, force: true });
}
process.exit(kept.every(Boolean) ? 0 : 1);
