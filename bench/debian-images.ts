/**
 * Images of Debian packages on one shared base layer, made by tools other than Hull and kept as one OCI layout in
 * .cache: the base by mmdebstrap and umoci, what is on top by buildah (OCI and Docker's format) or by umoci. Needs
 * the machine's Debian mirror, so it has to run outside of namespaces without a network.
 */
import { copyFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { runProgram } from "../test/support/daemon.ts";
import { debianMirror, once } from "../test/support/images.ts";

export const packages = [
  "nginx",
  "redis-server",
  "postgresql",
  "python3",
  "openjdk-17-jre-headless",
] as const;
export type PackageName = (typeof packages)[number];

/** Who makes which; the rest is buildah's. */
const madeByUmoci: ReadonlySet<PackageName> = new Set(["python3"]);
export const makerOf = (name: PackageName): string => (madeByUmoci.has(name) ? "umoci" : "buildah");

/** The path of an OCI layout with the image `base` and one image per package, by its name. */
export async function debianImages(): Promise<string> {
  return await once("real-images", async (layout) => {
    const scratch = await mkdtemp(join(tmpdir(), "images-"));
    try {
      await makeBase(layout, scratch);
      const buildah = await buildahIn(scratch, dirname(layout));
      for (const name of packages) {
        if (madeByUmoci.has(name)) await makeByUmoci(layout, name, scratch);
        else await makeByBuildah(buildah, layout, name);
      }
    } finally {
      await rm(scratch, { recursive: true, force: true });
    }
  });
}

/** Services do not start while they are installed, and what only the installation needed goes. */
const install = (name: string): string =>
  [
    "set -e",
    "printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d",
    "chmod 755 /usr/sbin/policy-rc.d",
    "apt-get update -q",
    `DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends ${name}`,
    "rm -rf /usr/sbin/policy-rc.d /var/lib/apt/lists/*",
    "apt-get clean",
  ].join("\n");

async function makeBase(layout: string, scratch: string): Promise<void> {
  const tar = join(scratch, "base.tar");
  await run(["mmdebstrap", "--quiet", "--variant=minbase", "bookworm", tar, await debianMirror()]);
  const image = `${layout}:base`;
  await run(["umoci", "init", "--layout", layout]);
  await run(["umoci", "new", "--image", image]);
  await run(["umoci", "raw", "add-layer", "--image", image, tar]);
  const path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  await run(["umoci", "config", "--image", image, "--config.env", path, "--config.cmd", "bash"]);
  await rm(tar);
}

type Buildah = (...args: string[]) => Promise<string>;

/**
 * A buildah with a store of its own, whose mounts nobody else sees. It takes the name of a working container from
 * the layout's path, which therefore has to be one in lower case: hence the working directory.
 */
async function buildahIn(scratch: string, cwd: string): Promise<Buildah> {
  const policy = join(scratch, "policy.json");
  await writeFile(policy, JSON.stringify({ default: [{ type: "insecureAcceptAnything" }] }));
  const places = ["--root", join(scratch, "store"), "--runroot", join(scratch, "store-run")];
  return async (verb, ...args) => {
    const takesPolicy = ["from", "commit", "push"].includes(verb ?? "");
    const flags = takesPolicy ? ["--quiet", "--signature-policy", policy] : [];
    const buildah = ["buildah", ...places, "--storage-driver", "overlay", String(verb), ...flags, ...args];
    return await run(["unshare", "--mount", ...buildah], cwd);
  };
}

async function makeByBuildah(buildah: Buildah, layout: string, name: PackageName): Promise<void> {
  const container = (await buildah("from", `oci:${basename(layout)}:base`)).trim();
  await buildah("run", "--isolation", "chroot", container, "--", "bash", "-c", install(name));
  await buildah("config", "--label", "made.by=buildah", container);
  await buildah("commit", "--rm", container, `oci:${basename(layout)}:${name}`);
}

async function makeByUmoci(layout: string, name: PackageName, scratch: string): Promise<void> {
  const bundle = join(scratch, name);
  await run(["umoci", "unpack", "--image", `${layout}:base`, bundle]);
  const resolver = join(bundle, "rootfs/etc/resolv.conf");
  await copyFile("/etc/resolv.conf", resolver);
  await run(["unshare", "--mount", "chroot", join(bundle, "rootfs"), "bash", "-c", install(name)]);
  await rm(resolver);
  await run(["umoci", "repack", "--image", `${layout}:${name}`, bundle]);
  await rm(bundle, { recursive: true });
}

async function run(command: readonly string[], cwd = tmpdir()): Promise<string> {
  const { code, stdout, stderr } = await runProgram(command, { cwd, timeoutMs: 600_000 });
  if (code !== 0)
    throw new Error(`${command.join(" ")} ended with ${code}:\n${stdout.slice(-2000)}\n${stderr}`);
  return stdout;
}
