/** The outside parts of the vm wall: programs, guest kernel, initramfs; what is missing, and what mends it. */
import { existsSync, readFileSync } from "node:fs";
import * as v from "valibot";
import { messageOf } from "../../contract/errors.ts";
import { protocolVersion } from "./protocol.ts";

export interface VmPrograms {
  readonly qemu: string;
  readonly runtime: string;
  readonly conmon: string;
  readonly kernel: string;
  readonly initramfs: string;
  /** Directories of the host that QEMU and its libraries are in. */
  readonly directories: readonly string[];
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
  ] as const;
  for (const [program, name] of packages)
    if (Bun.which(program) === null)
      return {
        missing: `the program ${program}`,
        remedy: `run \`apt-get install ${name}\` (or your distribution's like)`,
      };
  const kernel = `${names.guestDirectory}/vmlinux`;
  const initramfs = `${names.guestDirectory}/initramfs.cpio`;
  const guest = checkGuest(names.guestDirectory, [kernel, initramfs]);
  if (guest !== undefined) return guest;
  return {
    qemu: Bun.which(names.qemu) ?? names.qemu,
    runtime: Bun.which(names.runtime) ?? names.runtime,
    conmon: Bun.which(names.conmon) ?? names.conmon,
    kernel,
    initramfs,
    directories: ["/usr", "/lib", "/lib64"].filter((path) => existsSync(path)),
  };
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
