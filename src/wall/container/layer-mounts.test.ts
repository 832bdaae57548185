/** Layers where the kernel mounts no file: kernels before 6.12 anywhere, later ones on some file systems, as tmpfs is. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeTinyLayer, type TinyLayer } from "../../../test/support/tiny-layer.ts";
import { mount, unmount } from "../../host/mount.ts";
import { errnoNameOf } from "../../host/system-error.ts";
import { LayerMounts } from "./layer-mounts.ts";

const directory = mkdtempSync(join(tmpdir(), "lay-"));
const memory = join(directory, "memory");
let layer: TinyLayer;
beforeAll(async () => {
  layer = await makeTinyLayer({ "etc/told": "by a loop device\n" });
  mkdirSync(memory);
  mount({ source: "tmpfs", target: memory, type: "tmpfs", flags: 0 });
  for (const name of ["one", "two"]) copyFileSync(layer.path, join(memory, name));
});
afterAll(async () => {
  unmount(memory);
  rmSync(directory, { recursive: true, force: true });
  await layer[Symbol.asyncDispose]();
});

test("a layer that can only be mounted as a block device is", async () => {
  const target = join(directory, "direct");
  mkdirSync(target);
  let why: string | undefined;
  try {
    mount({ source: join(memory, "one"), target, type: "erofs", flags: 1 });
    unmount(target);
  } catch (error) {
    why = errnoNameOf(error);
  }
  expect(why).toBe("ENOTBLK");

  const mounts = new LayerMounts(join(directory, "mounts"));
  try {
    using lease = await mounts.lease([join(memory, "one"), join(memory, "two")]);
    for (const name of lease.names)
      expect(readFileSync(join(lease.base, name, "etc/told"), "utf8")).toBe("by a loop device\n");
  } finally {
    mounts.close();
  }
  // The devices go with the mounts: otherwise the file system could not be unmounted.
});
