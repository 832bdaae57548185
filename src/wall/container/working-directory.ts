import { HullError } from "../../contract/errors.ts";
import { makeDirectoryInRoot } from "../../host/rooted.ts";
import { errnoNameOf, explainWriteError, reasonOf } from "../../host/system-error.ts";

/** Makes a process's working directory below an untrusted root, where it is missing. */
export function makeWorkingDirectory(root: string, path: string): void {
  if (!path.startsWith("/"))
    throw new HullError("workingDirectoryInvalid", { path, why: "it is not an absolute path" });
  try {
    makeDirectoryInRoot(root, path);
  } catch (error) {
    const code = errnoNameOf(error);
    if (code === undefined || ["ENOSPC", "EDQUOT"].includes(code))
      throw explainWriteError(error, "the working directory", path);
    const why = ["ENOTDIR", "ELOOP"].includes(code) ? "not a directory" : reasonOf(code);
    throw new HullError("workingDirectoryInvalid", { path, why }, { cause: error });
  }
}
