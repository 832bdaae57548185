/** Who a process runs as: a user's words resolved against an image's own /etc/passwd and /etc/group. */
import { HullError } from "../contract/errors.ts";

export interface ResolvedUser {
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids: readonly number[];
  readonly home: string;
}

const largestId = 2 ** 32 - 2;

/**
 * `""`, `name`, `uid`, each with `:group` or `:gid`. Numbers need no entry; a name does. The groups that list
 * the user are added only when no group is given, as Docker has it.
 */
export function resolveUser(user: string, passwd: string, group: string): ResolvedUser {
  const colon = user.indexOf(":");
  const userWord = (colon < 0 ? user : user.slice(0, colon)) || "0";
  const groupWord = colon < 0 ? "" : user.slice(colon + 1);
  const fail = (): never => {
    throw new HullError("noSuchUser", { user });
  };
  const users = entriesOf(passwd);
  const entry =
    users.find(([name]) => name === userWord) ??
    users.find(([, , uid]) => isNumber(userWord) && Number(uid) === Number(userWord));
  if (entry === undefined && !isNumber(userWord)) fail();
  const uid = idOf(entry?.[2] ?? userWord) ?? fail();
  const primaryGid = idOf(entry?.[3] ?? "0") ?? 0;
  const home = entry?.[5] || "/";
  const groups = entriesOf(group);
  if (groupWord === "") {
    const name = entry?.[0];
    const listing = groups.filter(
      ([, , , members]) => name !== undefined && members?.split(",").includes(name),
    );
    const additionalGids = [...new Set(listing.map(([, , gid]) => idOf(gid ?? "")))];
    return { uid, gid: primaryGid, additionalGids: additionalGids.filter((gid) => gid !== undefined), home };
  }
  const groupEntry = groups.find(([name]) => name === groupWord);
  if (groupEntry === undefined && !isNumber(groupWord)) fail();
  return { uid, gid: idOf(groupEntry?.[2] ?? groupWord) ?? fail(), additionalGids: [], home };
}

/** The lines of a file such as /etc/passwd, in fields. */
export function entriesOf(file: string): string[][] {
  return file
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => line.trim().split(":"));
}

function isNumber(text: string): boolean {
  return /^\d+$/.test(text);
}

function idOf(text: string): number | undefined {
  return isNumber(text) && Number(text) <= largestId ? Number(text) : undefined;
}
