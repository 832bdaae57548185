/** Layers that inflate to a thousand times their bytes, on a disk that has no room for that. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { statfsSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { isHullError } from "../../contract/errors.ts";
import { mount, unmount } from "../../host/mount.ts";
import type { PullOptions } from "../image-store.ts";
import { openImageStore } from "../store.ts";
import { failure, fakeImage, fakeRegistry } from "../testing/fake-registry.ts";
import { contentOf, smallTar, testSettings } from "../testing/store.ts";
import { tempDirectory } from "../testing/temp.ts";

setDefaultTimeout(120_000);

const megabyte = 1024 * 1024;
const diskBytes = 100 * megabyte;
const pieceBytes = 16 * megabyte;
const quiet: PullOptions = { platform: "", onProgress: () => undefined };

/** One file of ones, whose header says all of its size; a gzip file may have several members. */
function bomb(pieces: number): Buffer {
  const content = Buffer.alloc(pieceBytes, 1);
  const header = smallTar({ path: "f", type: "file", mode: 0o644, content }).subarray(0, 512);
  header.write(`${(pieces * pieceBytes).toString(8).padStart(11, "0")}\0`, 124, "latin1");
  header.fill(" ", 148, 156);
  header.write(
    `${header
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, "0")}\0 `,
    148,
    "latin1",
  );
  const piece = gzipSync(content);
  return Buffer.concat([
    gzipSync(header),
    ...Array<Buffer>(pieces).fill(piece),
    gzipSync(Buffer.alloc(1024)),
  ]);
}

const cases = [
  { where: "the daemon", layer: bomb(8) },
  { where: "a process of its own", layer: bomb(128) },
];

for (const { where, layer } of cases)
  test(`a bomb that is inflated in ${where} fails before the disk is full, and leaves nothing`, async () => {
    await using temp = await tempDirectory();
    mount({ source: "tmpfs", target: temp.path, type: "tmpfs", data: `size=${diskBytes}` });
    const free = (): number => {
      const { bavail, bsize } = statfsSync(temp.path);
      return bavail * bsize;
    };
    let least = diskBytes;
    const watch = setInterval(() => {
      least = Math.min(least, free());
    }, 1);
    try {
      const store = await openImageStore(join(temp.path, "root"), testSettings);
      await using registry = fakeRegistry(fakeImage("", undefined, () => layer));
      const before = free();
      const error = await failure(store.pull(`${registry.host}/x/bomb:1`, quiet));
      expect(isHullError(error, "noSpace")).toBe(true);
      expect(String(error)).toMatch(
        /writing layer [0-9a-f]{12} of .*\/x\/bomb:1: .*images leave 6 MB of this disk free/,
      );
      expect(await contentOf(join(temp.path, "root"))).toEqual([]);
      expect(await store.list()).toEqual([]);
      expect(before - free()).toBeLessThan(megabyte);
      // The last buffer that was begun may be there in part.
      expect(least).toBeGreaterThan(diskBytes / 20 - 2 * megabyte);
      await store.close();
    } finally {
      clearInterval(watch);
      unmount(temp.path);
    }
  });
