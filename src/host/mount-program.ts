/** mount(8), for file systems that have a helper of their own (nfs) or options that only it knows. */

import { lookup } from "node:dns/promises";
import { closeSync } from "node:fs";
import { isIP } from "node:net";
import { HullError } from "../contract/errors.ts";
import { memoryFileOf } from "./memory-file.ts";
import { unmount } from "./mount.ts";
import { plainEnvironment, run } from "./spawn.ts";

/** Seconds; a server that does not answer must not hold a start for ever. */
const defaultLimit = 30;

export interface MountCommand {
  readonly type: string;
  readonly source: string;
  readonly target: string;
  /** As `mount -o`; empty for none. */
  readonly options: string;
}

/** File systems whose server may be named by `addr=`, as Docker has it: the kernel takes an address there, and no name. */
const withAddress = ["nfs", "nfs4", "cifs", "smb3"];
const cifs = ["cifs", "smb3"];
const passwordVariables = new Map([
  ["pass", "PASSWD"],
  ["password", "PASSWD"],
  ["password2", "PASSWD2"],
]);
const addressPattern = /(?<=^|,)addr=([^,]*)/;

/**
 * How mount(8) is told. Every user of the host sees a program's arguments, and options have passwords in them: mount(8)
 * reads them from a table (fstab(5)) on its standard input, and its helper for cifs, which gets options as arguments,
 * finds the passwords in its environment (mount.cifs(8), PASSWD).
 *
 * With `addr=` there is nothing left to do for a helper such as mount.nfs, which would want `host:/path`: the options
 * go to the kernel as they are.
 */
export function mountTelling({ type, source, target, options }: MountCommand) {
  const internal = withAddress.includes(type) && addressPattern.test(options);
  const env: Record<string, string> = {};
  const kept = options.split(",").filter((option) => {
    const [, name = "", value = ""] = /^(\w+)=(.*)$/s.exec(option) ?? [];
    const variable = cifs.includes(type) && !internal ? passwordVariables.get(name) : undefined;
    if (variable !== undefined) env[variable] = value;
    return variable === undefined;
  });
  const fields = [source, target, type, kept.join(",") || "defaults", "0", "0"];
  return {
    command: ["mount", ...(internal ? ["-i"] : []), "--fstab", "/proc/self/fd/0", "--", target],
    table: `${fields.map(escaped).join(" ")}\n`,
    env,
  };
}

/** As fstab(5) has a field: whatever could end it, or is no plain text, in octal. */
function escaped(field: string): string {
  return [...Buffer.from(field)]
    .map((byte) => {
      const character = String.fromCharCode(byte);
      return /[\w/:.,=-]/.test(character) ? character : `\\${byte.toString(8).padStart(3, "0")}`;
    })
    .join("");
}

/** Throws `conflict` with what mount(8) says. The mount is in the caller's mount namespace. */
export async function mountByProgram(request: MountCommand, timeLimit = defaultLimit): Promise<void> {
  const { type, source, target } = request;
  const options = await withAddressFound(request);
  const fail = (why: string): HullError =>
    new HullError("conflict", { what: `cannot mount ${source} (${type}): ${why}` });
  const limits = ["timeout", "--kill-after=5", String(timeLimit)];
  const { command, table, env } = mountTelling({ ...request, options });
  const stdin = memoryFileOf("fstab", Buffer.from(table));
  const running = run([...limits, ...command], { stdin, env: { ...plainEnvironment, ...env } }).finally(() =>
    closeSync(stdin),
  );
  const late = Bun.sleep((timeLimit + 8) * 1000).then(() => undefined);
  const result = await Promise.race([running, late]);
  const unanswered = `its server does not answer within ${timeLimit} s`;
  if (result === undefined) {
    // It cannot be ended where the kernel does not let it go. What it mounts once it can is nobody's any more.
    running.then(({ code }) => code === 0 && unmount(target)).catch(() => undefined);
    throw fail(unanswered);
  }
  if (result.code !== 0)
    throw fail(result.code === 124 || result.code === 137 ? unanswered : result.stderr.trim());
}

async function withAddressFound({ type, source, options }: MountCommand): Promise<string> {
  const host = addressPattern.exec(options)?.[1] ?? "";
  if (!withAddress.includes(type) || host === "" || isIP(host) !== 0) return options;
  try {
    const { address } = await lookup(host);
    return options.replace(addressPattern, `addr=${address}`);
  } catch (error) {
    throw new HullError(
      "conflict",
      { what: `cannot mount ${source} (${type}): the address of its server ${host} is not known` },
      { cause: error },
    );
  }
}
