/**
 * Real input for the scenarios: a Debian 12 root file system with python3, made by mmdebstrap from the machine's
 * own Debian mirror, and an image of several layers made from it by umoci. Both are made once and kept in .cache.
 */
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { projectRoot, runProgram } from "./daemon.ts";

const cache = join(projectRoot, ".cache");

/** The path of the tar of the root file system, with packages besides python3 when some are named. */
export async function debianTar(packages: readonly string[] = []): Promise<string> {
  const name = ["test-debian", ...packages].join("-");
  return await once(`${name}.tar`, async (path) => {
    const include = `--include=${["python3", ...packages].join(",")}`;
    // Tests have no network: it is that of whoever started them.
    await run([
      ...["nsenter", `--net=/proc/${process.ppid}/ns/net`],
      "mmdebstrap",
      "--quiet",
      "--variant=minbase",
      include,
      "bookworm",
      path,
      await debianMirror(),
    ]);
  });
}

/** What the second layer of `debianLayout` adds, and the file of the first that it takes away. */
export const secondLayer = {
  added: { path: "/opt/second/greeting", content: "from the second layer\n" },
  removed: "/etc/debian_version",
  replaced: { path: "/etc/issue", content: "replaced\n" },
} as const;

/** The path of an OCI layout with the image `debian`: two layers, an environment variable and a command. */
export async function debianLayout(): Promise<string> {
  const base = await debianTar();
  return await once("test-debian-oci", async (path) => {
    const work = await mkdtemp(join(tmpdir(), "layer-"));
    try {
      const second = await secondLayerTar(work);
      const image = `${path}:debian`;
      await run(["umoci", "init", "--layout", path]);
      await run(["umoci", "new", "--image", image]);
      await run(["umoci", "raw", "add-layer", "--image", image, base]);
      await run(["umoci", "raw", "add-layer", "--image", image, second]);
      const config = [
        "--config.cmd",
        "cat",
        "--config.cmd",
        "/opt/second/greeting",
        "--config.env",
        "GREETING=hello",
      ];
      await run(["umoci", "config", "--image", image, ...config, "--config.env", `PATH=${debianPath}`]);
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  });
}

const debianPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

async function secondLayerTar(work: string): Promise<string> {
  const tree = join(work, "tree");
  const write = async (path: string, content: string): Promise<void> => {
    await mkdir(join(tree, path, ".."), { recursive: true });
    await writeFile(join(tree, path), content);
  };
  await write(secondLayer.added.path, secondLayer.added.content);
  await write(secondLayer.replaced.path, secondLayer.replaced.content);
  await write(secondLayer.removed.replace(/\/([^/]*)$/, "/.wh.$1"), "");
  const tar = join(work, "second.tar");
  await run(["tar", "-C", tree, "--owner=0", "--group=0", "-cf", tar, "etc", "opt"]);
  return tar;
}

/** The mirror that the machine's own package lists come from. */
export async function debianMirror(): Promise<string> {
  const format = "$(SITE)|$(RELEASE)";
  const targets = await runProgram(["apt-get", "indextargets", "--format", format, "Created-By: Packages"]);
  for (const line of targets.stdout.split("\n")) {
    const [site, release] = line.split("|");
    if (site?.startsWith("http") && release === "bookworm" && /\/debian\/?$/.test(site)) return site;
  }
  throw new Error(
    "apt names no mirror of Debian 12 (bookworm): look at its sources, then run apt-get update",
  );
}

/** Makes a file or folder of the cache unless it is there; a half-made one never gets the name. */
export async function once(name: string, make: (path: string) => Promise<void>): Promise<string> {
  const path = join(cache, name);
  if (existsSync(path)) return path;
  await mkdir(cache, { recursive: true });
  const scratch = await mkdtemp(join(cache, "making-"));
  try {
    await make(join(scratch, name));
    await rename(join(scratch, name), path);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  return path;
}

async function run(command: readonly string[]): Promise<void> {
  const { code, stdout, stderr } = await runProgram(command, { timeoutMs: 600_000 });
  if (code !== 0) throw new Error(`${command.join(" ")} ended with ${code}:\n${stdout}\n${stderr}`);
}
