/** The outside parts of the vm wall: programs, guest kernel, initramfs; what is missing, and what mends it. */
import { existsSync, readFileSync, realpathSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import * as v from "valibot";
import { messageOf } from "../../contract/errors.ts";
import { run } from "../../host/spawn.ts";
import { protocolVersion } from "./protocol.ts";

export interface VmPrograms {
  readonly qemu: string;
  readonly runtime: string;
  readonly conmon: string;
  readonly kernel: string;
  readonly initramfs: string;
  /** Loaded into QEMU (guest/jail). */
  readonly discard: string;
  /** Keep a QEMU as it stands, and have copies of it go on (guest/process). */
  readonly freeze: string;
  readonly thaw: string;
}

export interface Missing {
  readonly missing: string;
  readonly remedy: string;
}

interface Names {
  readonly guestDirectory: string;
  readonly qemu: string;
  readonly runtime: string;
  readonly conmon: string;
}

const manifestSchema = v.object({ kernel: v.string(), protocol: v.number() });

export function findPrograms(names: Names): VmPrograms | Missing {
  const packages = [
    [names.qemu, "qemu-system-x86"],
    [names.runtime, "crun"],
    [names.conmon, "conmon"],
    ["mkfs.ext4", "e2fsprogs"],
    ["qemu-img", "qemu-utils"],
  ] as const;
  for (const [program, name] of packages)
    if (Bun.which(program) === null)
      return {
        missing: `the program ${program}`,
        remedy: `run \`apt-get install ${name}\` (or your distribution's like)`,
      };
  const kernel = `${names.guestDirectory}/vmlinux`;
  const initramfs = `${names.guestDirectory}/initramfs.cpio`;
  const discard = `${names.guestDirectory}/discard.so`;
  const freeze = `${names.guestDirectory}/hull-freeze`;
  const thaw = `${names.guestDirectory}/hull-thaw`;
  const guest = checkGuest(names.guestDirectory, [kernel, initramfs, discard, freeze, thaw]);
  if (guest !== undefined) return guest;
  return {
    qemu: Bun.which(names.qemu) ?? names.qemu,
    runtime: Bun.which(names.runtime) ?? names.runtime,
    conmon: Bun.which(names.conmon) ?? names.conmon,
    kernel,
    initramfs,
    discard,
    freeze,
    thaw,
  };
}

const known = new Map<string, Promise<readonly string[]>>();

/**
 * What has to be seen of the host for QEMU to run: its program, the directories of its libraries and of its firmware.
 * Looked up once for each QEMU.
 */
export function placesOf(qemu: string): Promise<readonly string[]> {
  const { mtimeMs, ino } = statSync(qemu);
  const mark = `${qemu} ${ino} ${mtimeMs}`;
  const found = known.get(mark) ?? findPlaces(qemu);
  known.set(mark, found);
  found.catch(() => known.delete(mark));
  return found;
}

async function findPlaces(qemu: string): Promise<readonly string[]> {
  // A program without libraries is told by an error, and there is nothing to find then.
  const { stdout } = await run(["ldd", qemu]);
  const libraries = stdout.split("\n").flatMap((line) => /(?:^|\s)(\/\S+) \(0x/.exec(line)?.[1] ?? []);
  const directories = new Set(libraries.flatMap((path) => [dirname(path), dirname(realpathSync(path))]));
  const share = join(dirname(qemu), "../share");
  const firmware = ["qemu", "seabios", "qboot"].map((name) => join(share, name));
  return [...directories, ...firmware.filter((path) => existsSync(path)), qemu];
}

function checkGuest(directory: string, files: readonly string[]): Missing | undefined {
  const remedy = "run `./setup`";
  for (const path of files) if (!existsSync(path)) return { missing: `the guest's ${path}`, remedy };
  try {
    const manifest = v.parse(manifestSchema, JSON.parse(readFileSync(`${directory}/manifest.json`, "utf8")));
    if (manifest.protocol === protocolVersion) return undefined;
    return { missing: `a guest that speaks version ${protocolVersion} of the agent protocol`, remedy };
  } catch (error) {
    return { missing: `a sound ${directory}/manifest.json (${messageOf(error)})`, remedy };
  }
}
