/** Who a process runs as: the user's words resolved against the image's own /etc/passwd and /etc/group. */
import { HullError } from "../../contract/errors.ts";
import { readFileInRoot } from "../../host/rooted.ts";
import { entriesOf, type ResolvedUser, resolveUser } from "../user.ts";

const fileLimit = 4 * 1024 * 1024;

/** Resolves a user below a root file system, whose files are not trusted. Throws `noSuchUser`. */
export function resolveUserInRoot(root: string, user: string): ResolvedUser {
  const read = (path: string): string => {
    try {
      return readFileInRoot(root, path, fileLimit)?.toString("utf8") ?? "";
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw new HullError("tooLarge", {
        what: `${path} of the image`,
        value: "its size",
        limit: `${fileLimit} bytes`,
      });
    }
  };
  return resolveUser(user, read("/etc/passwd"), read("/etc/group"));
}

/** The names of users by id, for showing processes. */
export function userNamesInRoot(root: string): ReadonlyMap<number, string> {
  const passwd = readFileInRoot(root, "/etc/passwd", fileLimit)?.toString("utf8") ?? "";
  return new Map(entriesOf(passwd).map(([name, , uid]) => [Number(uid), name ?? ""]));
}
