/**
 * Whether a path answers. One of a file system whose server is gone holds whoever looks at it, for as long as the
 * server is gone; so somebody else looks.
 */
import { readFile } from "node:fs/promises";
import { HullError } from "../contract/errors.ts";
import { parseMountInfo } from "./mount-info.ts";
import { start } from "./spawn.ts";

/** File systems that are somebody else's to answer for: another machine, or another process. */
const remote =
  /^(nfs|nfs4|cifs|smb3|smbfs|ceph|9p|afs|lustre|glusterfs|gfs2|ocfs2|virtiofs|fuse|fuseblk|autofs|fuse\..*)$/;

const defaultLimitMs = 10_000;

/** Throws `conflict` when `path` does not answer in time. Costs a process, on hosts that have such file systems. */
export async function requireAnswer(path: string, limitMs = defaultLimitMs): Promise<void> {
  const mounts = parseMountInfo(await readFile("/proc/self/mountinfo", "utf8"));
  if (!mounts.some(({ type }) => remote.test(type))) return;
  const child = start(["stat", "--dereference", "--format=%s", "--", path], {
    stdio: ["ignore", "ignore", "ignore"],
  });
  const answered = await Promise.race([child.exited.then(() => true), Bun.sleep(limitMs).then(() => false)]);
  if (answered) return;
  // It may not end before the server is back: nobody waits for it.
  child.kill("SIGKILL");
  child.unref();
  throw new HullError("conflict", {
    what: `${path} does not answer within ${limitMs / 1000} s: is the server of its file system gone?`,
  });
}
