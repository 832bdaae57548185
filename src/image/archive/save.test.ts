/** What a save and a load keep: indexes of several platforms, artifacts, names; what they refuse. */
import { expect, test } from "bun:test";
import { isHullError } from "../../contract/errors.ts";
import { digestOf } from "../content/content-store.ts";
import { TarParser } from "../tar/parser.ts";
import { contentOf, importOptions, smallTar, streamOf, tarFile, testStore } from "../testing/store.ts";

const quiet = () => undefined;

interface Blob {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

/** An OCI layout in memory. */
class Layout {
  readonly #blobs = new Map<string, Buffer>();

  add(mediaType: string, content: Buffer | object): Blob {
    const bytes = Buffer.isBuffer(content) ? content : Buffer.from(JSON.stringify(content));
    const digest = digestOf(bytes);
    this.#blobs.set(digest, bytes);
    return { mediaType, digest, size: bytes.length };
  }

  image(architecture: string, text: string): Blob {
    const layer = smallTar(tarFile("file", text));
    const config = { architecture, os: "linux", rootfs: { type: "layers", diff_ids: [digestOf(layer)] } };
    return this.add("application/vnd.oci.image.manifest.v1+json", {
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      config: this.add("application/vnd.oci.image.config.v1+json", config),
      layers: [this.add("application/vnd.oci.image.layer.v1.tar", layer)],
    });
  }

  archive(manifests: readonly object[], without: string = ""): Buffer {
    const blobs = [...this.#blobs].filter(([digest]) => digest !== without);
    return smallTar(
      ...blobs.map(([digest, bytes]) => ({
        ...{ path: `blobs/sha256/${digest.slice(7)}`, type: "file" as const, mode: 0o644 },
        content: bytes,
      })),
      tarFile("oci-layout", '{"imageLayoutVersion":"1.0.0"}'),
      tarFile("index.json", JSON.stringify({ schemaVersion: 2, manifests })),
    );
  }
}

const indexType = "application/vnd.oci.image.index.v1+json";
const named = (name: string) => ({ annotations: { "io.containerd.image.name": name } });

function severalPlatforms(layout: Layout): Blob {
  return layout.add(indexType, {
    schemaVersion: 2,
    mediaType: indexType,
    manifests: [
      { ...layout.image("amd64", "for amd64"), platform: { os: "linux", architecture: "amd64" } },
      { ...layout.image("arm64", "for arm64"), platform: { os: "linux", architecture: "arm64" } },
    ],
  });
}

function artifact(layout: Layout): Blob {
  return layout.add("application/vnd.oci.image.manifest.v1+json", {
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    artifactType: "application/x-thing",
    config: layout.add("application/vnd.oci.empty.v1+json", {}),
    layers: [layout.add("application/x-thing", Buffer.from("not a tar"))],
  });
}

async function bytesOf(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of source) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

function membersOf(tar: Uint8Array): Map<string, Buffer> {
  const members = new Map<string, Buffer>();
  let last = "";
  const parser = new TarParser("it", {
    entry: ({ path }) => {
      last = path;
      members.set(path, Buffer.alloc(0));
    },
    data: (bytes) => members.set(last, Buffer.concat([members.get(last) ?? Buffer.alloc(0), bytes])),
    entryEnd: () => undefined,
  });
  parser.push(tar);
  parser.end();
  return members;
}

test("an index of several platforms and an artifact come through a load and a save whole", async () => {
  await using own = await testStore();
  await using other = await testStore();
  const layout = new Layout();
  const [index, thing] = [severalPlatforms(layout), artifact(layout)];
  const tops = [
    { ...index, ...named("docker.io/library/many:1") },
    { ...thing, ...named("docker.io/library/thing:1") },
  ];
  const archive = layout.archive(tops);
  await own.store.load(streamOf(archive), quiet);
  expect((await own.store.resolve("thing:1")).artifactType).toBe("application/x-thing");
  expect((await own.store.resolve("many:1")).config.architecture).toBe("amd64");
  const saved = await bytesOf(await own.store.save(["many:1", "thing:1"]));
  const blobs = (tar: Uint8Array) =>
    [...membersOf(tar).keys()].filter((path) => /[0-9a-f]{64}$/.test(path)).sort();
  expect(blobs(saved)).toEqual(blobs(archive));
  const told = JSON.parse(membersOf(saved).get("index.json")?.toString() ?? "");
  expect(told.manifests).toMatchObject([
    { digest: index.digest, mediaType: indexType },
    { digest: thing.digest },
  ]);
  await other.store.load(streamOf(saved), quiet);
  expect(await bytesOf(await other.store.save(["many:1", "thing:1"]))).toEqual(saved);
  expect(await contentOf(other.root)).toEqual(await contentOf(own.root));
  for (const name of ["many:1", "thing:1"])
    await other.store.remove(name, { force: false, inUse: () => undefined });
  expect(await contentOf(other.root)).toEqual([]);
});

test("of an index that lacks a platform's parts, the host's image is loaded", async () => {
  await using own = await testStore();
  const layout = new Layout();
  const index = severalPlatforms(layout);
  const arm = layout.image("arm64", "for arm64");
  const archive = layout.archive([{ ...index, ...named("docker.io/library/many:1") }], arm.digest);
  const [image] = await own.store.load(streamOf(archive), quiet);
  expect(image?.references).toEqual(["many:1"]);
  const told = JSON.parse(
    membersOf(await bytesOf(await own.store.save(["many:1"])))
      .get("index.json")
      ?.toString() ?? "",
  );
  expect(told.manifests[0].digest).toBe(layout.image("amd64", "for amd64").digest);
});

test("a broken artifact is refused, and nothing of the archive is left", async () => {
  await using own = await testStore();
  const layout = new Layout();
  const thing = artifact(layout);
  const blob = layout.add("application/x-thing", Buffer.from("not a tar"));
  const failure = await own.store
    .load(streamOf(layout.archive([thing], blob.digest)), quiet)
    .catch((error: unknown) => error);
  expect(isHullError(failure, "corrupt")).toBe(true);
  expect(await contentOf(own.root)).toEqual([]);
});

test("a name without a tag saves all of its tags, an id none, and what is not there is said first", async () => {
  await using own = await testStore();
  const image = await own.store.importTar(streamOf(smallTar(tarFile("a", "b"))), {
    ...importOptions,
    reference: "x:1",
  });
  await own.store.tag("x:1", "x:2");
  const tagsIn = async (...names: string[]) => {
    const members = membersOf(await bytesOf(await own.store.save(names)));
    return JSON.parse(members.get("manifest.json")?.toString() ?? "").map(
      ({ RepoTags }: { RepoTags: unknown }) => RepoTags,
    );
  };
  expect(await tagsIn("x")).toEqual([["x:1", "x:2"]]);
  expect(await tagsIn("x:2")).toEqual([["x:2"]]);
  expect(await tagsIn(image.id)).toEqual([null]);
  const failure = await own.store.save(["x", "nothing"]).catch((error: unknown) => error);
  expect(isHullError(failure, "noSuchImage")).toBe(true);
});

test("an image that is removed while it is saved is saved whole, and goes afterwards", async () => {
  await using own = await testStore();
  await own.store.importTar(streamOf(smallTar(tarFile("a", "b".repeat(2000)))), {
    ...importOptions,
    reference: "x:1",
  });
  const archive = await own.store.save(["x:1"]);
  await own.store.remove("x:1", { force: false, inUse: () => undefined });
  expect((await contentOf(own.root)).length).toBeGreaterThan(0);
  expect(membersOf(await bytesOf(archive)).has("manifest.json")).toBe(true);
  expect(await contentOf(own.root)).toEqual([]);
});
