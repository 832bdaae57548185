/** Archives of images as other tools write them, whole and broken. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdir, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { isHullError } from "../../contract/errors.ts";
import { type TarMember, writeTar } from "../tar/writer.ts";
import { makeLayout } from "../testing/layout.ts";
import { must, treeOfLayer } from "../testing/programs.ts";
import { contentOf, smallTar, streamOf, tarFile, testStore } from "../testing/store.ts";
import { tempDirectory } from "../testing/temp.ts";

// Other programs do much of the work, on a machine that may be busy.
setDefaultTimeout(120_000);

const quiet = () => undefined;

async function failure(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => undefined,
    (error: unknown) => error,
  );
}

test("an OCI layout is loaded with the manifest it has", async () => {
  await using temp = await tempDirectory();
  await using own = await testStore();
  const layout = await makeLayout(temp.path, "example.com/team/app:v1");
  const archive = join(temp.path, "oci.tar");
  await must("tar", "-cf", archive, "-C", layout.path, ".");
  const events: string[] = [];
  const [image, ...more] = await own.store.load(Bun.file(archive).stream(), (event) =>
    events.push(event.status),
  );
  expect(more).toEqual([]);
  expect(image?.references).toEqual(["example.com/team/app:v1"]);
  expect(image?.loadedAs).toEqual(["example.com/team/app:v1"]);
  // Names that it has besides are not what was loaded.
  await own.store.tag("example.com/team/app:v1", "other/name");
  const [again] = await own.store.load(Bun.file(archive).stream(), () => undefined);
  expect(again?.references).toEqual(["other/name:latest", "example.com/team/app:v1"]);
  expect(again?.loadedAs).toEqual(["example.com/team/app:v1"]);
  expect(image?.config).toMatchObject({ cmd: ["cat"], env: ["A=b"], user: "1000", labels: { k: "v" } });
  expect(image?.layers.length).toBe(3);
  expect(image?.layers[2]).toEqual(image?.layers[0] ?? ({} as never));
  expect((await treeOfLayer(image?.layers[1]?.path ?? ""))["/etc/one"]).toMatchObject({
    type: "character",
    device: "0:0",
  });
  expect(events).toContain("Loading layer");
  const index = JSON.parse(await readFile(join(layout.path, "index.json"), "utf8"));
  const blobs = await contentOf(own.root);
  expect(blobs).toContain(`content/blobs/sha256/${index.manifests[0].digest.slice(7)}`);
  expect(blobs.filter((name) => name.startsWith("content/temp"))).toEqual([]);
});

test("archives of docker save, old and new, give the same image, also compressed and in another order", async () => {
  await using temp = await tempDirectory();
  await using own = await testStore();
  const layout = await makeLayout(temp.path, "v1");
  const copy = ["skopeo", "copy", "--quiet", "--insecure-policy", `oci:${layout.path}:v1`];
  const old = join(temp.path, "old.tar");
  await must(...copy, `docker-archive:${old}:docker.io/team/app:v1`);
  const [first] = await own.store.load(Bun.file(old).stream(), quiet);
  expect(first?.references).toEqual(["team/app:v1"]);

  // Old Docker wrote a directory for each layer, and a link where a layer came again.
  const unpacked = join(temp.path, "unpacked");
  await mkdir(unpacked);
  await must("tar", "-xf", old, "-C", unpacked);
  const [entry] = JSON.parse(await readFile(join(unpacked, "manifest.json"), "utf8"));
  const one = entry.Layers[0];
  for (const [index, layer] of ["a/layer.tar", "b/layer.tar", "c/layer.tar"].entries()) {
    await mkdir(join(unpacked, layer, ".."));
    if (index === 2) await must("ln", "-s", "../a/layer.tar", join(unpacked, layer));
    else await rename(join(unpacked, entry.Layers[index]), join(unpacked, layer));
  }
  expect(entry.Layers[2]).toBe(one);
  const manifest = [
    { ...entry, Layers: ["a/layer.tar", "b/layer.tar", "c/layer.tar"], RepoTags: ["linked:1", "linked:2"] },
  ];
  await writeFile(join(unpacked, "manifest.json"), JSON.stringify(manifest));
  const linked = join(temp.path, "linked.tar.gz");
  await must("tar", "-czf", linked, "-C", unpacked, "manifest.json", "c", "b", "a", entry.Config);
  const [second] = await own.store.load(Bun.file(linked).stream(), quiet);
  expect(second?.id).toBe(first?.id ?? "sha256:");
  expect(second?.references).toEqual(["linked:1", "linked:2", "team/app:v1"]);

  // Docker 25 and later: an OCI layout with Docker's manifest beside it.
  const index = JSON.parse(await readFile(join(layout.path, "index.json"), "utf8"));
  const digest: string = index.manifests[0].digest;
  const oci = JSON.parse(await readFile(join(layout.path, "blobs/sha256", digest.slice(7)), "utf8"));
  const blob = (descriptor: { digest: string }) => `blobs/sha256/${descriptor.digest.slice(7)}`;
  await writeFile(
    join(layout.path, "manifest.json"),
    JSON.stringify([{ Config: blob(oci.config), RepoTags: ["new:1"], Layers: oci.layers.map(blob) }]),
  );
  const modern = join(temp.path, "new.tar");
  await must("tar", "-cf", modern, "-C", layout.path, "blobs", "index.json", "manifest.json", "oci-layout");
  const [third] = await own.store.load(Bun.file(modern).stream(), quiet);
  expect(third?.references).toContain("new:1");
  expect(third?.layers).toEqual(first?.layers ?? []);
  expect(await contentOf(own.root)).toContain(`content/blobs/sha256/${digest.slice(7)}`);
});

test("an archive of several images loads all of them, or none", async () => {
  await using temp = await tempDirectory();
  await using own = await testStore();
  const layout = await makeLayout(temp.path, "team/one:1");
  await must("umoci", "tag", "--image", `${layout.path}:team/one:1`, "team/two:2");
  await must("umoci", "config", "--image", `${layout.path}:team/two:2`, "--config.env", "B=c");
  const archive = join(temp.path, "oci.tar");
  await must("tar", "-cf", archive, "-C", layout.path, ".");
  const images = await own.store.load(Bun.file(archive).stream(), quiet);
  expect(images.flatMap((image) => image.references).sort()).toEqual(["team/one:1", "team/two:2"]);
  expect(new Set(images.map((image) => image.id)).size).toBe(2);

  await using other = await testStore();
  for (const name of await readdir(join(layout.path, "blobs/sha256"))) {
    const path = join(layout.path, "blobs/sha256", name);
    const bytes = await readFile(path);
    await writeFile(path, Buffer.concat([bytes.subarray(0, -1), Buffer.of((bytes.at(-1) ?? 0) ^ 1)]));
    await must("tar", "-cf", archive, "-C", layout.path, ".");
    await writeFile(path, bytes);
    const error = await failure(other.store.load(Bun.file(archive).stream(), quiet));
    // Blobs of the image before its config was changed belong to nothing.
    if (error !== undefined) expect(isHullError(error, "digestMismatch")).toBe(true);
    else
      for (const { id } of await other.store.list())
        await other.store.remove(id, { force: true, inUse: () => undefined });
    expect(await other.store.list()).toEqual([]);
    expect(await contentOf(other.root)).toEqual([]);
  }
});

const wrong: readonly (readonly [what: string, archive: Uint8Array, code: string, words: RegExp])[] = [
  ["an empty stream", Buffer.alloc(0), "corrupt", /it is empty/],
  ["an empty tar", smallTar(), "corrupt", /it is empty/],
  [
    "a root file system",
    smallTar(tarFile("etc/passwd", "x")),
    "corrupt",
    /is it a root file system for `import`/,
  ],
  ["no tar", Buffer.alloc(4096, "no tar "), "corrupt", /checksum|octal/],
  ["JSON that is none", smallTar(tarFile("manifest.json", "{")), "corrupt", /not JSON/],
  ["JSON of another shape", smallTar(tarFile("manifest.json", '[{"Config": 1}]')), "corrupt", /Config/],
  ["no images", smallTar(tarFile("manifest.json", "[]")), "corrupt", /no image/],
  [
    "a missing config",
    smallTar(tarFile("manifest.json", '[{"Config":"c","Layers":[]}]')),
    "corrupt",
    /"c" is not in it/,
  ],
  [
    "a missing layer",
    smallTar(
      tarFile("manifest.json", '[{"Config":"c","Layers":["l"]}]'),
      tarFile("c", '{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}'),
    ),
    "corrupt",
    /"l" is not in it/,
  ],
  [
    "layers that are not the config's",
    smallTar(
      tarFile("manifest.json", '[{"Config":"c","Layers":["l"]}]'),
      tarFile(
        "c",
        `{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["sha256:${"0".repeat(64)}"]}}`,
      ),
      tarFile("l", ""),
    ),
    "digestMismatch",
    /does not match/,
  ],
  [
    "a path out of the archive",
    smallTar(tarFile("manifest.json", '[{"Config":"../../../../etc/hostname","Layers":[]}]')),
    "corrupt",
    /not in it/,
  ],
  ["an archive of ancient Docker", smallTar(tarFile("repositories", "{}")), "unsupported", /1\.10/],
  ["an index that is none", smallTar(tarFile("index.json", '{"schemaVersion":2}')), "corrupt", /neither/],
];

for (const [what, archive, code, words] of wrong) {
  test(`refused, and nothing is left: ${what}`, async () => {
    await using own = await testStore();
    for (const bytes of archive.length === 0 ? [archive] : [archive, gzipSync(archive)]) {
      const error = await failure(own.store.load(streamOf(bytes), quiet));
      expect(error).toMatchObject({ name: "HullError", code });
      expect(String(error)).toMatch(words);
      expect(await contentOf(own.root)).toEqual([]);
    }
  });
}

test("an archive of endless links is refused", async () => {
  await using own = await testStore();
  const members = Array.from({ length: 20_001 }, (_, i): TarMember => {
    return { path: `${i}`, type: "symlink", mode: 0o777, target: "manifest.json" };
  });
  const error = await failure(own.store.load(streamOf(Buffer.concat([...writeTar(members)])), quiet));
  expect(error).toMatchObject({ code: "tooLarge" });
  expect(await contentOf(own.root)).toEqual([]);
});
