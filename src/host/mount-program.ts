/** mount(8), for file systems that have a helper of their own (nfs) or options that only it knows. */
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { HullError } from "../contract/errors.ts";
import { unmount } from "./mount.ts";
import { run } from "./spawn.ts";

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
const addressPattern = /(?<=^|,)addr=([^,]*)/;

/**
 * With `addr=` there is nothing left to do for a helper such as mount.nfs, which would want `host:/path`: the options
 * go to the kernel as they are.
 */
export function mountArguments({ type, source, target, options }: MountCommand): string[] {
  const internal = withAddress.includes(type) && addressPattern.test(options);
  const all = options === "" ? [] : ["-o", options];
  return ["mount", ...(internal ? ["-i"] : []), "-t", type, ...all, "--", source, target];
}

/** Throws `conflict` with what mount(8) says. The mount is in the caller's mount namespace. */
export async function mountByProgram(request: MountCommand, timeLimit = defaultLimit): Promise<void> {
  const { type, source, target } = request;
  const options = await withAddressFound(request);
  const fail = (why: string): HullError =>
    new HullError("conflict", { what: `cannot mount ${source} (${type}): ${why}` });
  const limits = ["timeout", "--kill-after=5", String(timeLimit)];
  const running = run([...limits, ...mountArguments({ ...request, options })]);
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
