import { HullError } from "../../contract/errors.ts";
import { makeDirectoryInRoot } from "../../host/rooted.ts";
import { errnoNameOf } from "../../host/system-error.ts";

/** Makes a process's working directory below an untrusted root, where it is missing. */
export function makeWorkingDirectory(root: string, path: string): void {
  if (!path.startsWith("/"))
    throw new HullError("workingDirectoryInvalid", { path, why: "it is not an absolute path" });
  try {
    makeDirectoryInRoot(root, path);
  } catch (error) {
    if (!["ENOTDIR", "ELOOP"].includes(errnoNameOf(error) ?? "")) throw error;
    throw new HullError("workingDirectoryInvalid", { path, why: "not a directory" }, { cause: error });
  }
}
