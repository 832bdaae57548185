/** The embedded image `hull/tiny`: the host's static busybox and just enough around it. Same busybox, same image. */
import { readFile } from "node:fs/promises";
import { tinyImage } from "../contract/defaults.ts";
import { HullError, messageOf } from "../contract/errors.ts";
import { run } from "../host/spawn.ts";
import { emptyConfig } from "./config.ts";
import type { ImageConfig } from "./image-store.ts";
import { hostPlatform } from "./platform.ts";
import type { TarMember } from "./tar/writer.ts";

const places = ["/bin/busybox", "/usr/bin/busybox"];

export const tinyReference = `${tinyImage}:latest`;

export interface TinyImage {
  readonly config: ImageConfig;
  readonly members: readonly TarMember[];
}

export async function makeTiny(): Promise<TinyImage> {
  const { path, binary } = await findBusybox();
  const { code, stdout } = await run([path, "--list"]);
  const applets = stdout.split("\n").filter((name) => /^[A-Za-z0-9[][A-Za-z0-9._+[-]*$/.test(name));
  if (code !== 0 || !applets.includes("sh"))
    throw new HullError("hostMissing", {
      what: `a shell in ${path}`,
      remedy: "install the busybox-static package",
    });
  return { members: membersOf(binary, applets), config: configOf() };
}

async function findBusybox(): Promise<{ path: string; binary: Buffer }> {
  let why = "";
  for (const path of places) {
    try {
      const binary = await readFile(path);
      // The guest has no shared libraries: a program that asks for an interpreter could not run.
      if (isStatic(binary)) return { path, binary };
      why = `${path} is not statically linked`;
    } catch (error) {
      why ||= messageOf(error);
    }
  }
  throw new HullError("hostMissing", {
    what: `a static busybox, of which ${tinyImage} is made (${why}),`,
    remedy: "install the busybox-static package",
  });
}

/** Whether a 64-bit little-endian ELF program has no PT_INTERP header (elf(5)). */
function isStatic(binary: Buffer): boolean {
  const interpreter = 3;
  if (binary.length < 64 || binary.readUInt32BE(0) !== 0x7f454c46 || binary[4] !== 2 || binary[5] !== 1)
    return false;
  const table = Number(binary.readBigUInt64LE(32));
  const entryBytes = binary.readUInt16LE(54);
  const count = binary.readUInt16LE(56);
  if (table + count * entryBytes > binary.length) return false;
  for (let i = 0; i < count; i++)
    if (binary.readUInt32LE(table + i * entryBytes) === interpreter) return false;
  return true;
}

function membersOf(binary: Buffer, applets: readonly string[]): TarMember[] {
  const directory = (path: string, mode = 0o755): TarMember => ({
    path: `${path}/`,
    type: "directory",
    mode,
  });
  const file = (path: string, content: string, mode = 0o644): TarMember => ({
    path,
    type: "file",
    mode,
    content: Buffer.from(content),
  });
  const symlink = (path: string, target: string): TarMember => ({
    path,
    type: "symlink",
    mode: 0o777,
    target,
  });
  const links = applets.filter((name) => name !== "busybox").toSorted();
  return [
    directory("bin"),
    { path: "bin/busybox", type: "file", mode: 0o755, content: binary },
    ...links.map(
      (name): TarMember => ({ path: `bin/${name}`, type: "hardlink", mode: 0o755, target: "bin/busybox" }),
    ),
    directory("dev"),
    directory("etc"),
    file(
      "etc/passwd",
      "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n",
    ),
    file("etc/group", "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n"),
    file("etc/os-release", 'ID=hull-tiny\nNAME="Hull tiny"\nPRETTY_NAME="Hull tiny (busybox)"\n'),
    directory("home"),
    directory("proc"),
    directory("root", 0o700),
    directory("run"),
    symlink("sbin", "bin"),
    directory("sys"),
    directory("tmp", 0o1777),
    directory("usr"),
    symlink("usr/bin", "../bin"),
    symlink("usr/sbin", "../bin"),
    directory("var"),
    symlink("var/run", "../run"),
    directory("var/tmp", 0o1777),
  ];
}

function configOf(): ImageConfig {
  return {
    ...emptyConfig(hostPlatform(), "1970-01-01T00:00:00Z"),
    env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
    cmd: ["sh"],
    history: [
      {
        created: "1970-01-01T00:00:00Z",
        createdBy: "hull",
        comment: "made of the host's busybox",
        emptyLayer: false,
      },
    ],
  };
}
