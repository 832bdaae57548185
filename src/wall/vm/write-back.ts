/** How long the end of a machine may take that writes back what its workload has written. */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";

export interface WriteBackLimits {
  /** Milliseconds without a change of the disk's files, after which nobody waits any more. */
  readonly pause: number;
  /** Milliseconds in all: a guest could write for ever. */
  readonly longest: number;
}

const usual: WriteBackLimits = { pause: 10_000, longest: 120_000 };

/**
 * Waits until something has ended, and longer than a pause only while files of the directory change: what a slow disk has
 * not taken yet would be lost with QEMU.
 */
export async function whileWriting(
  directory: string,
  end: Promise<unknown>,
  { pause, longest }: WriteBackLimits = usual,
): Promise<void> {
  const ended = end.then(
    () => true,
    () => true,
  );
  const deadline = performance.now() + longest;
  let before = await marks(directory);
  while (performance.now() < deadline) {
    if (await Promise.race([ended, Bun.sleep(pause).then(() => false)])) return;
    const now = await marks(directory);
    if (now === before) return;
    before = now;
  }
}

async function marks(directory: string): Promise<string> {
  const names = await readdir(directory).catch(() => []);
  const facts = names.map(async (name) => {
    const found = await stat(join(directory, name), { bigint: true }).catch(() => undefined);
    return found === undefined ? "" : `${found.mtimeNs} ${found.blocks}`;
  });
  return (await Promise.all(facts)).join("\n");
}
