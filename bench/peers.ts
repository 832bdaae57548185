/** Programs to measure against or with: Debian's packages, unpacked into the cache, never installed. */
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runProgram } from "../test/support/daemon.ts";

const cache = join(import.meta.dir, "../.cache");

/** Unpacks the packages below `.cache/NAME` unless `program` is there; needs the network, which benches leave later. */
export async function unpackPackages(
  name: string,
  packages: readonly string[],
  program: string,
): Promise<void> {
  const place = join(cache, name);
  if (existsSync(join(place, program))) return;
  const scratch = await mkdtemp(join(tmpdir(), `${name}-`));
  try {
    const download = await runProgram(["apt-get", "download", "-q", ...packages], {
      cwd: scratch,
      timeoutMs: 300_000,
    });
    if (download.code !== 0) throw new Error(`apt-get download: ${download.stderr}`);
    await mkdir(place, { recursive: true });
    for (const file of await readdir(scratch)) {
      const unpacked = await runProgram(["dpkg-deb", "-x", join(scratch, file), place]);
      if (unpacked.code !== 0) throw new Error(`dpkg-deb: ${unpacked.stderr}`);
    }
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Where they are. */
export const networkTools = join(cache, "network-tools");

/** iperf3, and Podman's resolver. */
export async function unpackNetworkTools(): Promise<void> {
  const packages = ["iperf3", "libiperf0", "libsctp1", "aardvark-dns"];
  await unpackPackages("network-tools", packages, "usr/bin/iperf3");
}

export const aardvark = join(networkTools, "usr/lib/podman/aardvark-dns");

export function iperf(...args: readonly string[]): string[] {
  const libraries = join(networkTools, "usr/lib/x86_64-linux-gnu");
  return ["env", `LD_LIBRARY_PATH=${libraries}`, join(networkTools, "usr/bin/iperf3"), ...args];
}
