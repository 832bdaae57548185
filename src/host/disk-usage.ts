/** What files take on the disk. */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";

/** Bytes of the files below a directory, links not followed; `except` has paths that are left out. */
export async function bytesBelow(
  directory: string,
  except: ReadonlySet<string> = new Set(),
): Promise<number> {
  let bytes = 0;
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    const path = join(directory, entry.name);
    if (except.has(path)) continue;
    if (entry.isDirectory()) bytes += await bytesBelow(path, except);
    else if (entry.isFile())
      bytes += await stat(path).then(
        (file) => file.blocks * 512,
        () => 0,
      );
  }
  return bytes;
}
