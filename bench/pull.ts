/**
 * How long an image takes from a registry until it can be run, against dockerd, podman and skopeo with umoci, all
 * from one docker-registry on the loopback interface; the daemon's memory and processor time meanwhile; the disk each
 * uses for it.
 *
 *   scripts/bun bench/pull.ts [--runs N] [--images large,small,big,forty] [--peers docker,podman,umoci]
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { median } from "../src/compare/report.ts";
import { inPrivateMountNamespace } from "../src/host/mount-namespace.ts";
import { projectRoot, runProgram, startDaemon } from "../test/support/daemon.ts";
import { startAgainInOwnNamespaces } from "../test/support/own-namespaces.ts";
import { startRegistry } from "../test/support/registry.ts";
import { startDockerd, unpackDockerd } from "./dockerd.ts";
import { type BenchImage, largeImage, manyLayers, oneBigFile, smallFiles } from "./images.ts";
import { reportBound } from "./measure.ts";
import { watchProcessors } from "./processor-time.ts";
import { watchMemory } from "./watch-memory.ts";

const makers: Readonly<Record<string, () => Promise<BenchImage>>> = {
  large: largeImage,
  small: smallFiles,
  big: oneBigFile,
  forty: () => manyLayers(40),
};
const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "3" },
    images: { type: "string", default: "large" },
    peers: { type: "string", default: "docker,podman,umoci" },
  },
});
const runs = Number(values.runs);
const peers = values.peers.split(",").filter((name) => name !== "");

interface Puller {
  readonly name: string;
  /** A directory that holds all that the image takes, and what it is without one. */
  readonly store: string;
  pull(reference: string): Promise<void>;
  remove(reference: string): Promise<void>;
  /** The image's first workload: `true` and gone. */
  firstRun?(reference: string): Promise<void>;
}

// Only the host's network reaches a Debian mirror.
if (!inPrivateMountNamespace()) {
  if (peers.includes("docker")) await unpackDockerd();
  for (const which of values.images.split(",")) await makerOf(which)();
}
startAgainInOwnNamespaces();
await must([join(projectRoot, "scripts/bun"), "scripts/build.ts"]);
await using registry = await startRegistry();
await using daemon = await startDaemon({ program: join(projectRoot, "dist/hull") });
const scratch = await mkdtemp(join(tmpdir(), "pull-"));
const stack = new AsyncDisposableStack();
stack.defer(() => rm(scratch, { recursive: true, force: true }));
await using _scratch = stack;

const pullers: Puller[] = [
  {
    name: "hull",
    store: daemon.root,
    pull: async (reference) => void (await daemon.hullOk(["pull", "-q", reference])),
    remove: async (reference) => void (await daemon.hullOk(["rmi", reference])),
    firstRun: async (reference) => void (await daemon.hullOk(["run", "--rm", reference, "true"])),
  },
];
if (peers.includes("docker")) {
  const dockerd = stack.use(await startDockerd());
  pullers.push({
    name: "docker",
    store: dockerd.root,
    pull: async (reference) => void (await dockerd.docker(["pull", "-q", reference])),
    remove: async (reference) => void (await dockerd.docker(["rmi", reference])),
    firstRun: async (reference) =>
      void (await dockerd.docker(["run", "--rm", "--network", "none", reference, "true"])),
  });
}
if (peers.includes("podman")) {
  // A policy of the bench's own: a machine may have none.
  const policy = join(scratch, "policy.json");
  await writeFile(policy, JSON.stringify({ default: [{ type: "insecureAcceptAnything" }] }));
  const podman = (...args: string[]): string[] => [
    ...["podman", "--root", join(scratch, "podman"), "--runroot", join(scratch, "podman-run")],
    ...["--storage-driver", "overlay", "--cgroup-manager", "cgroupfs", ...args],
  ];
  pullers.push({
    name: "podman",
    store: join(scratch, "podman"),
    pull: (reference) =>
      must(podman("pull", "-q", "--tls-verify=false", "--signature-policy", policy, reference)),
    remove: (reference) => must(podman("rmi", reference)),
  });
  stack.defer(async () => {
    await must(podman("rmi", "-af")).catch(() => undefined);
    // The storage driver leaves a bind mount of its own directory.
    await runProgram(["umount", join(scratch, "podman/overlay")]);
  });
}
if (peers.includes("umoci")) {
  const [layout, bundle] = [join(scratch, "oci"), join(scratch, "bundle")];
  pullers.push({
    name: "skopeo + umoci",
    store: scratch,
    pull: async (reference) => {
      const copy = ["skopeo", "copy", "--quiet", "--insecure-policy", "--src-tls-verify=false"];
      await must([...copy, `docker://${reference}`, `oci:${layout}:image`]);
      await must(["umoci", "unpack", "--image", `${layout}:image`, bundle]);
    },
    remove: async () => {
      await rm(layout, { recursive: true, force: true });
      await rm(bundle, { recursive: true, force: true });
    },
  });
}

let kept = true;
for (const which of values.images.split(",")) {
  const image = await makerOf(which)();
  await registry.push(image.layout, "image", `bench/${which}:latest`);
  kept = (await compare(which, image, `${registry.host}/bench/${which}:latest`)) && kept;
}
process.exitCode = kept ? 0 : 1;

function makerOf(which: string): () => Promise<BenchImage> {
  const make = makers[which];
  if (make === undefined) throw new Error(`--images ${which}: must be of ${Object.keys(makers).join(", ")}`);
  return make;
}

async function compare(which: string, image: BenchImage, reference: string): Promise<boolean> {
  const times = new Map<string, number[]>(pullers.map(({ name }) => [name, []]));
  const first = new Map<string, number[]>(pullers.map(({ name }) => [name, []]));
  const disk = new Map<string, number>();
  let idle = 0;
  let most = 0;
  const processors: string[] = [];
  for (let run = 0; run < runs; run++) {
    for (const puller of pullers) {
      // What the one before has written is not this one's to wait for.
      await must(["sync"]);
      const before = run === 0 ? await diskOf(puller.store) : 0;
      const memory = puller.name === "hull" ? await watchMemory(daemon.pid) : undefined;
      const time = await watchProcessors(daemon.pid);
      const took = await seconds(() => puller.pull(reference));
      const { used, busy } = await time.end();
      times.get(puller.name)?.push(took);
      console.error(
        `${which}, run ${run + 1}: ${puller.name} ${took.toFixed(2)} s, ${(busy * 100).toFixed(0)} % busy`,
      );
      if (memory !== undefined) {
        processors.push(`${used.toFixed(1)} s (all processors ${(busy * 100).toFixed(0)} % busy)`);
        const seen = await memory.end();
        if (run === 0) idle = seen.before;
        most = Math.max(most, seen.most);
      }
      if (run === 0) {
        await must(["sync"]);
        disk.set(puller.name, (await diskOf(puller.store)) - before);
      }
      const { firstRun } = puller;
      if (firstRun !== undefined && image.runs)
        first.get(puller.name)?.push(await seconds(() => firstRun(reference)));
      await puller.remove(reference);
    }
  }
  console.log(`${image.what}; ${runs} runs in turns, the fastest and the median:`);
  for (const { name } of pullers) {
    const all = times.get(name) ?? [];
    const starts = first.get(name) ?? [];
    const run = starts.length === 0 ? "" : `, first run ${(Math.min(...starts) * 1000).toFixed(0)} ms`;
    const space = `${((disk.get(name) ?? 0) / 1e6).toFixed(0)} MB of disk`;
    console.log(
      `  ${name.padEnd(15)} ${Math.min(...all).toFixed(2)} s, ${median(all).toFixed(2)} s; ${space}${run}`,
    );
  }
  console.log(`  processor time of hull's daemon with its converters: ${processors.join(", ")}`);
  const memory = (most - idle) / 1e6;
  console.log(`  memory: ${(idle / 1e6).toFixed(0)} MB before, at most ${(most / 1e6).toFixed(0)} MB`);
  const bounds: Readonly<Record<string, number>> = which === "large" ? { docker: 0.35, podman: 0.2 } : {};
  let kept = true;
  const ours = median(times.get("hull") ?? []);
  for (const { name } of pullers.slice(1)) {
    const ratio = ours / median(times.get(name) ?? []);
    const most = bounds[name];
    if (most === undefined) console.log(`      hull against ${name}: ${ratio.toFixed(2)}×`);
    else kept = reportBound(`hull against ${name}`, ratio, { most }, "×") && kept;
  }
  return reportBound("memory above idle during the pull", memory, { most: 150 }, " MB") && kept;
}

async function seconds(work: () => Promise<void>): Promise<number> {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1000;
}

/** Bytes that a tree takes on disk, shared blocks once. */
async function diskOf(path: string): Promise<number> {
  const { stdout } = await runProgram(["du", "-sx", "--block-size=1", path]);
  return Number(/^\d+/.exec(stdout)?.[0] ?? 0);
}

async function must(command: readonly string[]): Promise<void> {
  const { code, stderr } = await runProgram(command, { cwd: projectRoot, timeoutMs: 600_000 });
  if (code !== 0) throw new Error(`${command.join(" ")} ended with ${code}: ${stderr}`);
}
