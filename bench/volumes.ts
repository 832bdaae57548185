/**
 * Volumes on both walls against a directory of the host, and against what else can share one with a virtual machine:
 * fio (1 MiB in order, 4 KiB at random) and a tar of many files: unpacked, listed, removed.
 *
 *   scripts/bun bench/volumes.ts [--rounds N] [--files N] [--seconds N] [--only WORD]
 *
 * `--only` takes contestants whose name has that word.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { inPrivateMountNamespace } from "../src/host/mount-namespace.ts";
import { runProgram, startDaemon } from "../test/support/daemon.ts";
import { startAgainInOwnNamespaces } from "../test/support/own-namespaces.ts";
import { runBareGuest, type Sharing, volumeBench } from "./bare-guest.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "1" },
    files: { type: "string", default: "10000" },
    seconds: { type: "string", default: "3" },
    only: { type: "string", default: "" },
  },
});
// Packages come over the network, which is gone afterwards.
if (!inPrivateMountNamespace()) await volumeBench(Number(values.files));
startAgainInOwnNamespaces();

const bench = await volumeBench(Number(values.files));
await using daemon = await startDaemon();
const loaded = await daemon.hull(["import", bench.tar, "bench"], { timeoutMs: 300_000 });
if (loaded.code !== 0) throw new Error(loaded.stderr);

const units = new Map([
  ["write", "MB/s"],
  ["read", "MB/s"],
  ["random-read", "op/s"],
  ["random-write", "op/s"],
  ["create", "ms"],
  ["list", "ms"],
  ["remove", "ms"],
]);

const bare = (kind: Sharing["kind"], options: string) => () =>
  runBareGuest(bench, { kind, with: options }, values.seconds);
const contestants = new Map<string, () => Promise<string>>([
  ["host", () => onHost()],
  ["container volume", () => inWorkload("container")],
  ["vm volume", () => inWorkload("vm")],
  ["qemu 9p mmap 256k", bare("9p", "msize=262144,cache=mmap")],
  ["qemu 9p none 256k", bare("9p", "msize=262144,cache=none")],
  ["qemu 9p mmap 64k", bare("9p", "msize=65536,cache=mmap")],
  ["qemu 9p mmap 1m", bare("9p", "msize=1048576,cache=mmap")],
  ["qemu 9p loose 256k (not coherent)", bare("9p", "msize=262144,cache=loose")],
  ["qemu virtiofs none", bare("virtiofs", "none")],
  ["qemu virtiofs auto", bare("virtiofs", "auto")],
  ["qemu virtio-blk (not shared)", bare("disk", "")],
]);

/** The best of each, for noise only slows down. */
const best = new Map<string, Map<string, number>>();
for (let round = 0; round < Number(values.rounds); round += 1)
  for (const [name, work] of contestants) {
    if (!name.includes(values.only)) continue;
    const figures = best.get(name) ?? new Map<string, number>();
    best.set(name, figures);
    for (const [, what = "", text = ""] of (await work()).matchAll(/^([a-z-]+) (\d+)\r?$/gm)) {
      const figure = what === "write" || what === "read" ? (Number(text) * 1024) / 1e6 : Number(text);
      const before = figures.get(what) ?? figure;
      figures.set(what, units.get(what) === "ms" ? Math.min(before, figure) : Math.max(before, figure));
    }
    if (figures.size !== units.size) throw new Error(`${name} gave ${[...figures.keys()].join(", ")}`);
    console.log(`${name.padEnd(36)} ${lineOf(figures)}`);
  }
console.log(`\n| | ${[...units].map(([what, unit]) => `${what}, ${unit}`).join(" | ")} |`);
console.log(`|---|${"---|".repeat(units.size)}`);
for (const [name, figures] of best) console.log(`| ${name} | ${lineOf(figures, " | ")} |`);

function lineOf(figures: ReadonlyMap<string, number>, between = "  "): string {
  return [...units.keys()].map((what) => (figures.get(what) ?? Number.NaN).toFixed(0)).join(between);
}

async function onHost(): Promise<string> {
  const data = await mkdtemp(join(tmpdir(), "v-"));
  // Only this program sees the mounts.
  const script = `mount --bind ${data} ${bench.rootfs}/data && mount -t tmpfs tmp ${bench.rootfs}/tmp && mount --bind /dev ${bench.rootfs}/dev && chroot ${bench.rootfs} /work.sh /data ${values.seconds}`;
  const { code, stdout, stderr } = await runProgram(["unshare", "--mount", "sh", "-c", script], {
    timeoutMs: 300_000,
  });
  await rm(data, { recursive: true, force: true });
  if (code !== 0) throw new Error(stderr);
  return stdout;
}

async function inWorkload(wall: string): Promise<string> {
  const run = ["run", "--rm", "--isolation", wall, "-m", "256m", "-v", "data:/data", "bench"];
  const stdout = await daemon.hullOk([...run, "/work.sh", "/data", values.seconds], { timeoutMs: 600_000 });
  await daemon.hullOk(["volume", "rm", "data"]);
  return stdout;
}
