/** mount(8), for file systems that have a helper of their own (nfs) or options that only it knows. */
import { HullError } from "../contract/errors.ts";
import { run } from "./spawn.ts";

/** Seconds; a server that does not answer must not hold a start for ever. */
const timeLimit = 30;

export interface MountCommand {
  readonly type: string;
  readonly source: string;
  readonly target: string;
  /** As `mount -o`; empty for none. */
  readonly options: string;
}

/** Throws `conflict` with what mount(8) says. The mount is in the caller's mount namespace. */
export async function mountByProgram(request: MountCommand): Promise<void> {
  const { type, source, target, options } = request;
  const command = [
    ...["timeout", "--kill-after=5", String(timeLimit)],
    ...["mount", "-t", type, ...(options === "" ? [] : ["-o", options]), "--", source, target],
  ];
  const { code, stderr } = await run(command);
  if (code === 0) return;
  const why = code === 124 || code === 137 ? `no answer within ${timeLimit} s` : stderr.trim();
  throw new HullError("conflict", { what: `cannot mount ${source} (${type}): ${why}` });
}
