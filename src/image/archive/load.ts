/** `load`: archives of `docker save`, old and new, and OCI layouts in a tar. Sources: moby image/tarexport; OCI image-layout.md. */
import * as v from "valibot";
import { HullError, isHullError } from "../../contract/errors.ts";
import { parseConfig, parseJson } from "../config.ts";
import type { ContentStore } from "../content/content-store.ts";
import type { Digest, ProgressEvent } from "../image-store.ts";
import { ingestLayer, type LayerRecord } from "../layer/ingest.ts";
import { choosePlatform, type Descriptor, noPlatform, parseManifest } from "../manifest.ts";
import { hostPlatform } from "../platform.ts";
import type { ImageRecords, NamedReference } from "../records.ts";
import { canonicalName, parseReference } from "../reference.ts";
import { type PreparedImage, prepareImage } from "../registration.ts";
import { readSpooled, Spool } from "./spool.ts";

const what = "the image archive";
const maxImages = 1000;

const dockerManifestSchema = v.pipe(
  v.array(
    v.object({
      Config: v.string(),
      RepoTags: v.optional(v.nullable(v.array(v.string()), []), []),
      Layers: v.array(v.string()),
    }),
  ),
  v.maxLength(maxImages),
);

/** Where an image's name is in an OCI layout. */
const nameAnnotations = ["io.containerd.image.name", "org.opencontainers.image.ref.name"];

interface FoundImage {
  readonly config: Buffer;
  readonly manifest: Buffer | undefined;
  /** Paths in the archive, bottom first. */
  readonly layers: readonly string[];
  readonly references: readonly NamedReference[];
}

/** Returns the ids of the images loaded. All of them become visible at once, or none. */
export async function loadArchive(
  content: ContentStore,
  records: ImageRecords,
  archive: AsyncIterable<Uint8Array>,
  onProgress: (event: ProgressEvent) => void,
): Promise<Digest[]> {
  await using spool = await Spool.read(content, archive, what);
  const images = await findImages(spool);
  if (images.length === 0) throw new HullError("corrupt", { what, why: "there is no image in it" });
  // Images share layers, and a layer's file is moved to its place once.
  const layers = new Map<string, LayerRecord>();
  const prepared: PreparedImage[] = [];
  for (const image of images) {
    const { diffIds } = parseConfig(image.config.toString("utf8"), `an image config in ${what}`);
    const own: LayerRecord[] = [];
    for (const [index, path] of image.layers.entries())
      own.push(await loadLayer(content, spool, path, diffIds[index], layers, onProgress));
    prepared.push(
      await prepareImage(content, records, {
        ...image,
        layers: own,
        digests: [],
        manifest: fitting(image, own),
      }),
    );
  }
  records.transaction(() => {
    for (const image of prepared) image.record();
  });
  return prepared.map((image) => image.id);
}

async function loadLayer(
  content: ContentStore,
  spool: Spool,
  path: string,
  expectedDiffId: Digest | undefined,
  layers: Map<string, LayerRecord>,
  onProgress: (event: ProgressEvent) => void,
): Promise<LayerRecord> {
  const { file, digest } = spool.get(path);
  const known = layers.get(digest);
  if (known !== undefined) return known;
  const id = digest.slice("sha256:".length, "sha256:".length + 12);
  const total = file.out.position;
  let current = 0;
  let shown = 0;
  const layer = await ingestLayer(content, readSpooled(file), {
    what: `the layer ${id} in ${what}`,
    spooled: file,
    ...(expectedDiffId === undefined ? {} : { expectedDiffId }),
    onBytes: (bytes) => {
      current += bytes;
      if (current < shown + 8_000_000 && current < total) return;
      shown = current;
      onProgress({ status: "Loading layer", id, progressDetail: { current, total } });
    },
  });
  layers.set(digest, layer);
  return layer;
}

/** A manifest that came with the image is kept if it really is of these layers: then a push gives its digest again. */
function fitting(image: FoundImage, layers: readonly LayerRecord[]): Buffer | undefined {
  if (image.manifest === undefined) return undefined;
  const document = parseManifest(image.manifest.toString("utf8"), `a manifest in ${what}`);
  const fits =
    document.kind === "manifest" &&
    document.layers.length === layers.length &&
    document.layers.every((layer, index) => layer.digest === layers[index]?.blob);
  return fits ? image.manifest : undefined;
}

async function findImages(spool: Spool): Promise<FoundImage[]> {
  if (spool.isEmpty) throw new HullError("corrupt", { what, why: "it is empty" });
  // Docker 25 and later write both; Docker's own file has all the names.
  if (spool.has("manifest.json")) return dockerImages(spool);
  if (spool.has("index.json")) return ociImages(spool);
  if (spool.has("repositories"))
    throw new HullError("unsupported", {
      what: "an archive of Docker before 1.10",
      where: "",
      why: "load it into a newer Docker and save it again",
    });
  throw new HullError("corrupt", {
    what,
    why: "it has neither a manifest.json nor an index.json: is it a root file system for `import`?",
  });
}

async function dockerImages(spool: Spool): Promise<FoundImage[]> {
  const json = (await spool.document("manifest.json")).toString("utf8");
  const manifests = spool.has("index.json") ? await manifestsByConfig(spool) : new Map<Digest, Buffer>();
  const images: FoundImage[] = [];
  for (const entry of parseJson(dockerManifestSchema, json, `manifest.json in ${what}`)) {
    images.push({
      config: await spool.document(entry.Config),
      manifest: manifests.get(spool.get(entry.Config).digest),
      layers: entry.Layers,
      references: entry.RepoTags.map(namedReference),
    });
  }
  return images;
}

function namedReference(text: string): NamedReference {
  const reference = parseReference(text);
  return { canonical: canonicalName(reference), tag: reference.tag ?? "latest" };
}

/** The manifests of the OCI side of a `docker save` archive. What is broken there does not matter: Docker's side counts. */
async function manifestsByConfig(spool: Spool): Promise<Map<Digest, Buffer>> {
  const found = new Map<Digest, Buffer>();
  try {
    for (const descriptor of await indexOf(spool)) {
      const bytes = await spool.blobDocument(descriptor.digest);
      const document = parseManifest(bytes.toString("utf8"), what);
      if (document.kind === "manifest") found.set(document.config.digest, bytes);
    }
  } catch (error) {
    if (!isHullError(error)) throw error;
  }
  return found;
}

async function indexOf(spool: Spool): Promise<readonly Descriptor[]> {
  const index = parseManifest((await spool.document("index.json")).toString("utf8"), `index.json in ${what}`);
  if (index.kind !== "index") throw new HullError("corrupt", { what, why: "its index.json is not an index" });
  if (index.manifests.length > maxImages)
    throw new HullError("tooLarge", { what, value: `${index.manifests.length} images`, limit: maxImages });
  return index.manifests;
}

async function ociImages(spool: Spool): Promise<FoundImage[]> {
  const images = new Map<Digest, FoundImage>();
  for (const descriptor of hostsOwn(await indexOf(spool))) {
    const image = await ociImage(spool, descriptor);
    const key = spool.blob(descriptor.digest).digest;
    const before = images.get(key);
    images.set(key, { ...image, references: [...(before?.references ?? []), ...image.references] });
  }
  return [...images.values()];
}

/** Several descriptors with platforms are one image for several: the host's is taken. */
function hostsOwn(descriptors: readonly Descriptor[]): readonly Descriptor[] {
  const named = descriptors.some((descriptor) => nameOf(descriptor) !== undefined);
  if (named || descriptors.length < 2 || descriptors.some((descriptor) => descriptor.platform === undefined))
    return descriptors;
  const chosen = choosePlatform(descriptors, hostPlatform());
  if (chosen === undefined) throw noPlatform(what, hostPlatform());
  return [chosen];
}

async function ociImage(spool: Spool, descriptor: Descriptor): Promise<FoundImage> {
  let bytes = await spool.blobDocument(descriptor.digest);
  let document = parseManifest(bytes.toString("utf8"), `a manifest in ${what}`);
  if (document.kind === "index") {
    const chosen = choosePlatform(document.manifests, hostPlatform());
    if (chosen === undefined) throw noPlatform(what, hostPlatform());
    bytes = await spool.blobDocument(chosen.digest);
    document = parseManifest(bytes.toString("utf8"), `a manifest in ${what}`);
  }
  if (document.kind === "index")
    throw new HullError("unsupported", {
      what: "an index in an index",
      where: ` in ${what}`,
      why: "make it flat",
    });
  const name = nameOf(descriptor);
  return {
    config: await spool.blobDocument(document.config.digest),
    manifest: bytes,
    layers: document.layers.map((layer) => {
      spool.blob(layer.digest);
      return `blobs/sha256/${layer.digest.slice("sha256:".length)}`;
    }),
    references: name === undefined ? [] : [name],
  };
}

/** A bare tag (`latest`) says nothing about the image's name, so the image stays without. */
function nameOf(descriptor: Descriptor): NamedReference | undefined {
  for (const key of nameAnnotations) {
    const text = descriptor.annotations[key];
    if (text !== undefined && /[/:]/.test(text)) return namedReference(text);
  }
  return undefined;
}
