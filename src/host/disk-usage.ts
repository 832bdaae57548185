/** What files take on the disk. */
import { constants } from "node:fs";
import { open, readdir, stat } from "node:fs/promises";
import { join } from "node:path";

/** Longer ones are gone on with from an open directory: a path that the kernel takes has up to 4095 bytes. */
const longPath = 3000;
/** Directories that are open at once for one tree, however deep somebody has made it: what is below counts as nothing. */
const mostOpen = 64;

/**
 * Bytes of the files below a directory, links not followed, one with several names counted once, as du(1) does; `except`
 * has paths that are left out.
 */
export async function bytesBelow(
  directory: string,
  except: ReadonlySet<string> = new Set(),
  counted: Set<string> = new Set(),
  opened = 0,
): Promise<number> {
  if (Buffer.byteLength(directory) > longPath) {
    if (opened === mostOpen) return 0;
    const handle = await openDirectory(directory);
    if (handle === undefined) return 0;
    await using _closed = handle;
    return await bytesBelow(`/proc/self/fd/${handle.fd}`, except, counted, opened + 1);
  }
  let bytes = 0;
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    const path = join(directory, entry.name);
    if (except.has(path)) continue;
    if (entry.isDirectory()) bytes += await bytesBelow(path, except, counted, opened);
    else if (entry.isFile()) bytes += await bytesOf(path, counted);
  }
  return bytes;
}

/** It may have gone, or become something else. */
async function openDirectory(path: string) {
  return await open(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW).catch(
    () => undefined,
  );
}

async function bytesOf(path: string, counted: Set<string>): Promise<number> {
  // It may go meanwhile.
  const file = await stat(path).catch(() => undefined);
  if (file === undefined) return 0;
  if (file.nlink > 1) {
    const key = `${file.dev}:${file.ino}`;
    if (counted.has(key)) return 0;
    counted.add(key);
  }
  return file.blocks * 512;
}
