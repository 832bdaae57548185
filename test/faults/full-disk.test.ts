/** A disk without room: what needs room fails and says so, nothing half-made stays, and all is well with room again. */
import { describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { open, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { digestOf } from "../../src/image/content/content-store.ts";
import { mediaTypes } from "../../src/image/manifest.ts";
import { type FakeImage, fakeImage, fakeRegistry } from "../../src/image/testing/fake-registry.ts";
import { contentOf, smallTar } from "../../src/image/testing/store.ts";
import { runProgram, startDaemon } from "../support/daemon.ts";
import { mounted, scratch, smallDisk } from "../support/disks.ts";

const timeout = 120_000;

describe("a full disk", () => {
  test(
    "fails what needs room, leaves nothing half-made, and is over when there is room again",
    async () => {
      await using directory = await scratch();
      await using disk = await mounted("-o", "loop", await smallDisk(directory.path));
      await using daemon = await startDaemon({ args: ["--root", disk.path] });
      await daemon.hullOk(["run", "--name", "filler", "hull/tiny", "true"]);
      const images = await daemon.hullOk(["images"]);

      const big = join(directory.path, "big");
      await writeFile(big, crypto.getRandomValues(new Uint8Array(65_536)));
      const tar = await runProgram([
        "sh",
        "-c",
        `cd ${directory.path} && for i in $(seq 600); do cat big; done > huge && tar c huge`,
      ]);
      const imported = await daemon.hull(["import", "-", "too/big"], { stdin: tar.stdoutBytes });
      expect(imported.code).not.toBe(0);
      expect(imported.stderr).toContain("no space left on device");
      expect(await daemon.hullOk(["images"])).toBe(images);

      const filled = await daemon.hull([
        "run",
        "--name",
        "greedy",
        "hull/tiny",
        "dd",
        "if=/dev/zero",
        "of=/fill",
        "bs=64k",
      ]);
      expect(filled.stderr).toContain("No space left on device");
      const created = await daemon.hull(["run", "--name", "late", "hull/tiny", "true"]);
      expect([0, 125]).toContain(created.code);
      expect(await daemon.ping()).toBe(true);
      await daemon.hullOk(["rm", "greedy"]);
      expect(await daemon.hullOk(["run", "--rm", "hull/tiny", "echo", "room"])).toBe("room");
    },
    timeout,
  );

  test(
    "fails a pull wherever it runs out of room, and names the image and the layer",
    async () => {
      await using directory = await scratch();
      await using disk = await mounted("-o", "loop", await smallDisk(directory.path));
      await using daemon = await startDaemon({ args: ["--root", disk.path] });
      const images = new Map([
        ["small", fakeImage()],
        ["large", imageOf(randomBytes(2 ** 20), randomBytes(24 * 2 ** 20), randomBytes(24 * 2 ** 20))],
        // Little to fetch, and much once it is unpacked.
        ["inflates", imageOf(Buffer.concat(new Array(4000).fill(randomBytes(16 * 1024))))],
      ]);
      await using registry = registryOf(images);
      const pull = (name: string) => daemon.hull(["pull", `${registry.host}/${name}:1`]);
      expect((await pull("small")).code).toBe(0);
      const before = await contentOf(disk.path);
      for (const name of ["large", "inflates"]) {
        const failed = await pull(name);
        expect(failed.code).toBe(1);
        expect(failed.stderr).toMatch(
          new RegExp(`no space left on device.*layer [0-9a-f]{12} of ${registry.host}/${name}:1`),
        );
        expect(await contentOf(disk.path)).toEqual(before);
      }
      // Not even the records have room.
      await daemon.hullOk(["rmi", `${registry.host}/small:1`]);
      const filler = join(disk.path, "filler");
      await fill(filler);
      const nothing = await pull("small");
      expect(nothing.code).toBe(1);
      expect(nothing.stderr).toContain("no space left on device");
      expect(await contentOf(disk.path)).toEqual([]);
      expect(await daemon.hullOk(["images", "-q"])).toBe("");
      await rm(filler);
      expect((await pull("small")).code).toBe(0);
      expect(await contentOf(disk.path)).toEqual(before);
    },
    timeout,
  );

  test(
    "fails a build in its context, its layers and its records, and the next one goes well",
    async () => {
      await using directory = await scratch();
      await using disk = await mounted("-o", "loop", await smallDisk(directory.path));
      await using daemon = await startDaemon({ args: ["--root", disk.path] });
      await using context = await scratch();
      const build = async (size: number) => {
        await writeFile(join(context.path, "Dockerfile"), "FROM scratch\nCOPY file /\n");
        await writeFile(join(context.path, "file"), randomBytes(size));
        return await daemon.hull(["build", "-q", "-t", "built", context.path]);
      };
      const expectFailure = async (size: number, what: string) => {
        const failed = await build(size);
        expect(failed.code).toBe(1);
        expect(failed.stderr).toContain("no space left on device");
        expect(failed.stderr).toContain(what);
        expect(await contentOf(disk.path)).toEqual([]);
        expect(await daemon.hullOk(["images", "-q"])).toBe("");
      };
      await expectFailure(40 * 2 ** 20, "the build context");
      await expectFailure(12 * 2 ** 20, "the layer of a build step");
      const filler = join(disk.path, "filler");
      await fill(filler);
      await expectFailure(1, "");
      await rm(filler);
      expect((await build(1000)).code).toBe(0);
      expect(await daemon.hullOk(["images", "--format", "{{.Repository}}"])).toBe("built");
    },
    timeout,
  );
});

/** An image of one file in each layer. */
function imageOf(...contents: readonly Buffer[]): FakeImage {
  const tars = contents.map((content, index) =>
    smallTar({ path: `file-${index}`, type: "file", mode: 0o644, content }),
  );
  const layers = tars.map((tar) => gzipSync(tar, { level: 1 }));
  const rootfs = { type: "layers", diff_ids: tars.map((tar) => digestOf(tar)) };
  const config = Buffer.from(JSON.stringify({ os: "linux", architecture: "amd64", rootfs }));
  const described = (bytes: Buffer, mediaType: string) => ({
    ...{ mediaType, digest: digestOf(bytes), size: bytes.length },
  });
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: described(config, mediaTypes.ociConfig),
      layers: layers.map((layer) => described(layer, "application/vnd.oci.image.layer.v1.tar+gzip")),
    }),
  );
  const blobs = new Map([config, ...layers].map((bytes) => [digestOf(bytes) as string, bytes]));
  return { manifest, blobs, layer: layers[0] ?? Buffer.alloc(0) };
}

/** Each image under its name. */
function registryOf(images: ReadonlyMap<string, FakeImage>) {
  return fakeRegistry(fakeImage("nobody's"), (_, url) => {
    const [, name = "", kind, which = ""] = /^\/v2\/(.+)\/(manifests|blobs)\/(.+)$/.exec(url.pathname) ?? [];
    const image = images.get(name);
    const bytes = kind === "manifests" ? image?.manifest : image?.blobs.get(which);
    return bytes === undefined ? undefined : new Response(Buffer.from(bytes));
  });
}

/** Takes all the room that is left, to the last block. */
async function fill(path: string): Promise<void> {
  await using file = await open(path, "w");
  for (let bytes = 2 ** 20; bytes >= 4096; ) {
    try {
      await file.write(Buffer.alloc(bytes, 1));
      await file.sync();
    } catch {
      bytes /= 2;
    }
  }
}
