/**
 * What the container wall adds to a bare `crun run` of the same root file system, step by step. Both are run
 * by turns in one process, so that a busy machine is as busy for either.
 *
 *   scripts/bun bench/wall-container.ts [ROUNDS]
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mount, mountFlag, unmount } from "../src/host/mount.ts";
import { run } from "../src/host/spawn.ts";
import { createContainerWall } from "../src/wall/container/container-wall.ts";
import { containerConfig } from "../src/wall/container/oci-config.ts";
import type { SandboxSpec } from "../src/wall/wall.ts";
import { startAgainInOwnNamespaces } from "../test/support/own-namespaces.ts";
import { makeTinyLayer } from "../test/support/tiny-layer.ts";

startAgainInOwnNamespaces();

const rounds = Number(process.argv[2] ?? 30);
const directory = mkdtempSync(join(tmpdir(), "bench-"));
await using layer = await makeTinyLayer();
const wall = createContainerWall({
  stateDirectory: join(directory, "state"),
  runtime: "crun",
  conmon: "conmon",
  seccompProfile: "/usr/share/containers/seccomp.json",
  filesProgram: join(import.meta.dir, "../.cache/guest/hull-files"),
});

const steps = ["create", "attach", "start", "wait", "remove", "whole", "crun run"] as const;
const times = new Map<string, number[]>(steps.map((step) => [step, []]));

try {
  const bundle = makeBareBundle();
  for (let round = 0; round < rounds; round += 1) {
    await timeWall(round);
    await timeCrun(bundle, round);
  }
  unmount(join(bundle, "rootfs"));
  for (const [step, values] of times) console.log(`${step.padEnd(10)} ${median(values).toFixed(1)} ms`);
  const ratio = median(times.get("whole") ?? []) / median(times.get("crun run") ?? []);
  console.log(`ratio      ${ratio.toFixed(2)}`);
} finally {
  await wall.close();
  rmSync(directory, { recursive: true, force: true });
}

async function timeWall(round: number): Promise<void> {
  const spec = specOf(round);
  mkdirSync(spec.directory);
  const begin = performance.now();
  let last = begin;
  const lap = (step: (typeof steps)[number]): void => {
    const now = performance.now();
    times.get(step)?.push(now - last);
    last = now;
  };
  const sandbox = await wall.create(spec);
  lap("create");
  const attachment = await sandbox.attach({ stdin: false });
  lap("attach");
  await sandbox.start();
  lap("start");
  for await (const _ of attachment.output);
  await sandbox.wait();
  lap("wait");
  await sandbox.remove();
  lap("remove");
  last = begin;
  lap("whole");
}

async function timeCrun(bundle: string, round: number): Promise<void> {
  const begin = performance.now();
  const { code, stderr } = await run([
    "crun",
    `--root=${directory}/crun`,
    "run",
    "--bundle",
    bundle,
    `bare-${round}`,
  ]);
  times.get("crun run")?.push(performance.now() - begin);
  if (code !== 0) throw new Error(`crun run failed: ${stderr}`);
}

/** The same configuration without the filter, which makes it easier for crun. */
function makeBareBundle(): string {
  const bundle = join(directory, "bundle");
  const rootPath = join(bundle, "rootfs");
  mkdirSync(rootPath, { recursive: true });
  mount({ source: layer.path, target: rootPath, type: "erofs", flags: mountFlag.readOnly });
  const config = containerConfig(
    { ...specOf(0), readOnlyRoot: true },
    {
      user: { uid: 0, gid: 0, additionalGids: [], home: "/root" },
      rootPath,
      files: new Set(),
      cgroup: "/hull/bench",
      seccomp: undefined,
      canLimitSwap: false,
    },
  );
  const mounts = config.mounts.filter(({ type }) => type !== "bind");
  writeFileSync(join(bundle, "config.json"), JSON.stringify({ ...config, mounts }));
  return bundle;
}

function specOf(round: number): SandboxSpec {
  const id = round.toString(16).padStart(64, "b");
  return {
    id,
    name: `bench-${round}`,
    directory: join(directory, `w${round}`),
    runtimeDirectory: join(directory, `r${round}`),
    layers: [layer.path],
    process: {
      args: ["true"],
      env: ["PATH=/bin"],
      cwd: "/",
      user: "",
      capabilities: ["CAP_CHOWN"],
      terminal: false,
      stdin: false,
      stdinOnce: false,
    },
    hostname: "bench",
    readOnlyRoot: false,
    resources: { memoryBytes: 0, cpus: 0, pids: 0 },
    logPath: join(directory, `log${round}`),
  };
}

function median(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[Math.floor(values.length / 2)] ?? Number.NaN;
}
