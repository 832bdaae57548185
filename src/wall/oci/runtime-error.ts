/** What an OCI runtime's words mean. crun, runc and youki say the same things differently. */
import { HullError } from "../../contract/errors.ts";

export interface FailureContext {
  /** The workload's name, for messages. */
  readonly name: string;
  readonly wall: "container" | "vm";
  readonly command: string;
  readonly cwd: string;
  readonly user: string;
}

/** The error to throw for a runtime that failed with this text. */
export function explainRuntimeFailure(text: string, context: FailureContext): HullError {
  const words = text.trim().replaceAll(/\s*\n\s*/g, "; ");
  const { command, cwd, user } = context;
  if (/chdir|\bcwd\b|working directory/i.test(words) && !words.includes("executable file"))
    return new HullError("workingDirectoryInvalid", { path: cwd, why: lastReason(words) });
  if (/executable file.*not found|missing dynamic library|exec.*no such file or directory/i.test(words))
    return new HullError("commandNotFound", { command });
  if (/is a directory|open executable: operation not permitted/i.test(words))
    return new HullError("commandNotExecutable", { command, why: "is a directory" });
  if (/exec format error/i.test(words))
    return new HullError("commandNotExecutable", { command, why: "exec format error" });
  if (/open executable: permission denied|exec.*permission denied/i.test(words))
    return new HullError("commandNotExecutable", { command, why: "it is not executable for the user" });
  if (/unable to find user|no such user/i.test(words)) return new HullError("noSuchUser", { user });
  return new HullError("startFailed", { wall: context.wall, name: context.name, why: reasonIn(words) });
}

function reasonIn(words: string): string {
  if (words === "") return "the OCI runtime failed without a word";
  return /mount.*not a directory/i.test(words) ? `${words}: ${wrongKindOfMount}` : words;
}

/** Docker's words. */
const wrongKindOfMount =
  "Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists and is the expected type";

function lastReason(words: string): string {
  return (words.split(": ").at(-1) ?? words).toLowerCase();
}
