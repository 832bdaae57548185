/**
 * The peer to measure against: Debian's dockerd with its containerd and runc, unpacked into the cache (never
 * installed) and started on a root, a socket and a control group of its own, without a network if it is not given one.
 */
import { existsSync } from "node:fs";
import { mkdtemp, readdir, rm, rmdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runProgram } from "../test/support/daemon.ts";
import { until } from "../test/support/until.ts";
import { unpackPackages } from "./peers.ts";

const cache = join(import.meta.dir, "../.cache/dockerd");
const controlGroup = "hull-bench-docker";

export interface Dockerd extends AsyncDisposable {
  /** Runs the docker client against it; throws when it fails. */
  docker(args: readonly string[], stdin?: Uint8Array): Promise<string>;
  /** The command line of a docker client that talks to it. */
  command(args: readonly string[]): string[];
  /** Where its images are. */
  readonly root: string;
  /** Process ids of dockerd and containerd. */
  readonly pids: readonly number[];
}

/** `place`: a process in whose network namespace it is to have its bridge and its rules; without, it has no network. */
export async function startDockerd(place?: number): Promise<Dockerd> {
  await unpackDockerd();
  const directory = await mkdtemp(join(tmpdir(), "d-"));
  const socket = join(directory, "d.sock");
  const env = {
    ...process.env,
    PATH: `${cache}/usr/bin:${cache}/usr/sbin:${process.env.PATH}:/usr/sbin:/sbin`,
  };
  const places = ["--data-root", join(directory, "root"), "--exec-root", join(directory, "exec")];
  const network = place === undefined ? ["--bridge=none", "--iptables=false", "--ip6tables=false"] : [];
  const enter = place === undefined ? [] : ["nsenter", "--net", "--target", String(place)];
  const child = Bun.spawn(
    [
      ...enter,
      join(cache, "usr/sbin/dockerd"),
      ...[...places, ...network, "--cgroup-parent", controlGroup],
      ...["--pidfile", join(directory, "pid"), "-H", `unix://${socket}`],
    ],
    { env, stdio: ["ignore", "ignore", "pipe"] },
  );
  let log = "";
  void (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of child.stderr) log += decoder.decode(chunk, { stream: true });
  })();
  const dispose = async (): Promise<void> => {
    child.kill("SIGTERM");
    await child.exited;
    await removeControlGroups("/sys/fs/cgroup", 6);
    await rm(directory, { recursive: true, force: true });
  };
  const command = (args: readonly string[]): string[] => [
    join(cache, "usr/bin/docker"),
    "-H",
    `unix://${socket}`,
    ...args,
  ];
  const docker = async (args: readonly string[], stdin?: Uint8Array): Promise<string> => {
    const result = await runProgram(command(args), stdin === undefined ? {} : { stdin });
    if (result.code !== 0)
      throw new Error(`docker ${args.join(" ")} ended with ${result.code}: ${result.stderr}`);
    return result.stdout.trim();
  };
  try {
    await until(
      () => `dockerd answers; it says:\n${log}`,
      async () => {
        if (child.exitCode !== null) throw new Error(`dockerd ended:\n${log}`);
        return existsSync(socket) && (await runProgram(command(["version"]))).code === 0;
      },
    );
    return {
      docker,
      command,
      root: join(directory, "root"),
      pids: [child.pid, ...(await childrenOf(child.pid))],
      [Symbol.asyncDispose]: dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** Fetches the packages unless they are here; needs the network, which namespaces of a bench's own do not have. */
export async function unpackDockerd(): Promise<void> {
  await unpackPackages("dockerd", ["docker.io", "containerd", "runc"], "usr/sbin/dockerd");
}

async function childrenOf(pid: number): Promise<number[]> {
  const children = await Bun.file(`/proc/${pid}/task/${pid}/children`).text();
  return children
    .split(" ")
    .filter((each) => each !== "")
    .map(Number);
}

/** dockerd leaves the parent group that it made. */
async function removeControlGroups(directory: string, depth: number): Promise<void> {
  if (depth === 0) return;
  for (const entry of await readdir(directory, { withFileTypes: true }).catch(() => [])) {
    if (!entry.isDirectory()) continue;
    const path = join(directory, entry.name);
    await removeControlGroups(path, depth - 1);
    if (entry.name === controlGroup) await rmdir(path).catch(() => undefined);
  }
}
