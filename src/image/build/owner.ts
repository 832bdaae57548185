/** `--chown`: names are looked up in the image that is being built, whose files are not trusted. */
import { HullError } from "../../contract/errors.ts";
import { readTreeFile, type TreeNode } from "./tree/node.ts";

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

const fileLimit = 4 * 1024 * 1024;
const largestId = 2 ** 32 - 2;

/** `user[:group]`, each a name or a number; a user without a group gives its number to both, as Docker has it. */
export async function resolveOwner(root: TreeNode, text: string): Promise<Owner> {
  const [user = "", group, ...more] = text.split(":");
  if (user === "" || group === "" || more.length > 0)
    throw new HullError("invalidParameter", {
      what: "--chown",
      value: text,
      why: "write user or user:group",
    });
  const uid = numberOf(user) ?? (await lookUp(root, "etc/passwd", user));
  if (uid === undefined) throw unknown(text, `there is no user ${user} in the image's /etc/passwd`);
  if (group === undefined) return { uid, gid: uid };
  const gid = numberOf(group) ?? (await lookUp(root, "etc/group", group));
  if (gid === undefined) throw unknown(text, `there is no group ${group} in the image's /etc/group`);
  return { uid, gid };
}

/** `--chmod` in octal digits. */
export function parseMode(text: string): number {
  if (!/^[0-7]{1,5}$/.test(text) || Number.parseInt(text, 8) > 0o7777)
    throw new HullError("invalidParameter", {
      what: "--chmod",
      value: text,
      why: "write octal digits, such as 755",
    });
  return Number.parseInt(text, 8);
}

function unknown(text: string, why: string): HullError {
  return new HullError("invalidParameter", { what: "--chown", value: text, why });
}

async function lookUp(root: TreeNode, path: string, name: string): Promise<number | undefined> {
  const file = (await readTreeFile(root, path, fileLimit))?.toString("utf8") ?? "";
  const line = file.split("\n").find((each) => each.startsWith(`${name}:`));
  return numberOf(line?.split(":")[2] ?? "");
}

function numberOf(text: string): number | undefined {
  return /^\d{1,10}$/.test(text) && Number(text) <= largestId ? Number(text) : undefined;
}
