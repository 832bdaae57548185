/** HostConfig.StorageOpt: `size`, the most that the writable layer may have. */
import { HullError } from "../../contract/errors.ts";

/** An ext4 file system with its journal has room for something. */
const smallest = 32 * 1024 ** 2;
/** What a file of the host's ext4 may have. */
const largest = 16 * 1024 ** 4 - 4096;

const units = ["", "k", "m", "g", "t"];

/** 0: no size was asked for. A number of bytes, or of KiB, MiB, GiB, TiB with `k`, `m`, `g`, `t`, as Docker has it. */
export function storageBytesOf(options: Readonly<Record<string, string>>): number {
  const { size, ...others } = options;
  const other = Object.keys(others)[0];
  const refuse = (what: string, value: string, why: string): never => {
    throw new HullError("invalidParameter", { what, value: JSON.stringify(value), why });
  };
  if (other !== undefined) refuse("storage option", other, "there is one, size");
  if (size === undefined) return 0;
  const [, digits = "", unit = ""] = /^(\d{1,15}(?:\.\d{1,3})?)([kmgt]?)(?:i?b)?$/i.exec(size.trim()) ?? [];
  if (digits === "") refuse("storage option size", size, "write bytes, or a number with k, m, g or t");
  const bytes = Math.floor(Number(digits) * 1024 ** units.indexOf(unit.toLowerCase()));
  if (bytes < smallest || bytes > largest)
    refuse("storage option size", size, "a writable layer has 32m to 16t");
  // Whole blocks of every file system that there is.
  return Math.ceil(bytes / 4096) * 4096;
}
