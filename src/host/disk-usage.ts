/** What files take on the disk. */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";

/**
 * Bytes of the files below a directory, links not followed, one with several names counted once, as du(1) does; `except`
 * has paths that are left out.
 */
export async function bytesBelow(
  directory: string,
  except: ReadonlySet<string> = new Set(),
  counted: Set<string> = new Set(),
): Promise<number> {
  let bytes = 0;
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    const path = join(directory, entry.name);
    if (except.has(path)) continue;
    if (entry.isDirectory()) bytes += await bytesBelow(path, except, counted);
    else if (entry.isFile()) bytes += await bytesOf(path, counted);
  }
  return bytes;
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
