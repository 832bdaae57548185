/** `load`: archives of `docker save`, old and new, and OCI layouts in a tar. Sources: moby image/tarexport; OCI image-layout.md. */
import * as v from "valibot";
import { HullError, isHullError } from "../../contract/errors.ts";
import { parseConfig, parseJson } from "../config.ts";
import type { ContentStore } from "../content/content-store.ts";
import { naming } from "../content/naming.ts";
import type { Digest, ProgressEvent } from "../image-store.ts";
import { ingestLayer, type LayerRecord } from "../layer/ingest.ts";
import { parseManifest } from "../manifest.ts";
import type { ImageRecords, NamedReference } from "../records.ts";
import { type PreparedImage, prepareArtifact, prepareImage } from "../registration.ts";
import { type LayoutItem, layoutItems, maxImages, namedReference } from "./oci-layout.ts";
import { readSpooled, Spool } from "./spool.ts";

const what = "the image archive";
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

interface FoundImage {
  readonly config: Buffer;
  readonly manifest: Buffer | undefined;
  /** Paths in the archive, bottom first. */
  readonly layers: readonly string[];
  readonly references: readonly NamedReference[];
  /** The index or manifest that the references stand for, when all of it is in the archive. */
  readonly top: { readonly digest: Digest; readonly parts: readonly Digest[] } | undefined;
}

interface Found {
  readonly images: readonly FoundImage[];
  /** What is no image for this host, and is kept to be pushed and saved again. */
  readonly artifacts: readonly LayoutItem[];
}

/** The archive's members, to be disposed of. Nothing may be missed yet when something is collected meanwhile. */
export async function receiveArchive(
  content: ContentStore,
  archive: AsyncIterable<Uint8Array>,
): Promise<Spool> {
  try {
    return await Spool.read(content, archive, what);
  } catch (error) {
    throw naming(what, error);
  }
}

/** Returns the images loaded, with the names that the archive gives them. All become visible at once, or none. */
export async function loadArchive(
  content: ContentStore,
  records: ImageRecords,
  spool: Spool,
  onProgress: (event: ProgressEvent) => void,
): Promise<ReadonlyMap<Digest, readonly NamedReference[]>> {
  const { images, artifacts } = await findImages(spool);
  if (images.length + artifacts.length === 0)
    throw new HullError("corrupt", { what, why: "there is no image in it" });
  // Images share layers, and a layer's file is moved to its place once.
  const layers = new Map<string, LayerRecord>();
  const prepared: PreparedImage[] = [];
  const kept = new Set<Digest>();
  for (const image of images) {
    const { diffIds } = parseConfig(image.config.toString("utf8"), `an image config in ${what}`);
    const own: LayerRecord[] = [];
    for (const [index, path] of image.layers.entries())
      own.push(await loadLayer(content, spool, path, diffIds[index], layers, onProgress));
    const { top } = image;
    for (const part of top?.parts ?? []) kept.add(part);
    prepared.push(
      await prepareImage(content, records, {
        ...image,
        layers: own,
        digests: [],
        manifest: fitting(image, own),
        ...(top === undefined ? {} : { target: top.digest, whole: top.parts }),
      }),
    );
  }
  for (const item of artifacts) {
    for (const part of item.whole?.digests ?? []) kept.add(part);
    prepared.push(preparedArtifact(records, item));
  }
  await keepBlobs(content, spool, kept);
  await content.settle();
  records.transaction(() => {
    for (const image of prepared) image.record();
  });
  const loaded = new Map<Digest, NamedReference[]>();
  for (const { id, references } of prepared) loaded.set(id, [...(loaded.get(id) ?? []), ...references]);
  return loaded;
}

function preparedArtifact(
  records: ImageRecords,
  { digest, name, whole, content }: LayoutItem,
): PreparedImage {
  return prepareArtifact(records, {
    id: digest,
    type: "artifact" in content ? content.artifact : "",
    bytes: whole?.bytes ?? 0,
    whole: whole?.digests ?? [],
    created: "created" in content ? content.created : "",
    references: name === undefined ? [] : [name],
    digests: [],
  });
}

/** Layers of the host's own images are stored by now; the rest of what is kept whole is stored as it is. */
async function keepBlobs(content: ContentStore, spool: Spool, kept: ReadonlySet<Digest>): Promise<void> {
  for (const digest of kept) {
    if ((await content.blobSize(digest)) !== undefined) continue;
    await content.publishBlob(spool.blob(digest).file, digest);
  }
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

async function findImages(spool: Spool): Promise<Found> {
  if (spool.isEmpty) throw new HullError("corrupt", { what, why: "it is empty" });
  const [docker, oci] = [spool.has("manifest.json"), spool.has("index.json")];
  if (docker) return dockerImages(spool, oci ? await layoutUnlessBroken(spool) : []);
  if (oci) return ociImages(await layoutItems(spool, what), spool);
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

/** What is broken on the OCI side of an archive does not matter where there is Docker's side. */
async function layoutUnlessBroken(spool: Spool): Promise<readonly LayoutItem[]> {
  try {
    return await layoutItems(spool, what);
  } catch (error) {
    if (!isHullError(error)) throw error;
    return [];
  }
}

/** Docker 25 and later write both: Docker's own file has all the names, the other side what they stand for. */
async function dockerImages(spool: Spool, items: readonly LayoutItem[]): Promise<Found> {
  const json = (await spool.document("manifest.json")).toString("utf8");
  const images: FoundImage[] = [];
  const seen = new Set<LayoutItem>();
  for (const entry of parseJson(dockerManifestSchema, json, `manifest.json in ${what}`)) {
    const { digest } = spool.get(entry.Config);
    const own = items.filter((item) => configOf(item) === digest);
    for (const item of own) seen.add(item);
    const plain = { config: await spool.document(entry.Config), layers: entry.Layers };
    const rest = entry.RepoTags.map(namedReference).filter(
      (name) => !own.some((item) => item.name !== undefined && isSame(item.name, name)),
    );
    for (const item of own) if (item.name !== undefined) images.push({ ...plain, ...standingFor(item) });
    const [any] = own;
    if (rest.length > 0 || !own.some((item) => item.name !== undefined))
      images.push({
        ...plain,
        manifest: any && standingFor(any).manifest,
        references: rest,
        top: undefined,
      });
  }
  const others = await ociImages(
    items.filter((item) => !seen.has(item)),
    spool,
  );
  return { images: [...images, ...others.images], artifacts: others.artifacts };
}

function isSame(one: NamedReference, other: NamedReference): boolean {
  return one.canonical === other.canonical && one.tag === other.tag;
}

function configOf({ content }: LayoutItem): Digest | undefined {
  return "document" in content ? content.document.config.digest : undefined;
}

function standingFor({ digest, name, whole, content }: LayoutItem) {
  return {
    manifest: "manifest" in content ? content.manifest : undefined,
    references: name === undefined ? [] : [name],
    top: whole === undefined ? undefined : { digest, parts: whole.digests },
  };
}

async function ociImages(items: readonly LayoutItem[], spool: Spool): Promise<Found> {
  const images: FoundImage[] = [];
  for (const item of items) {
    const { content } = item;
    if (!("document" in content)) continue;
    images.push({
      ...standingFor(item),
      config: await spool.blobDocument(content.document.config.digest),
      layers: content.document.layers.map((layer) => {
        spool.blob(layer.digest);
        return `blobs/sha256/${layer.digest.slice("sha256:".length)}`;
      }),
    });
  }
  return { images, artifacts: items.filter(({ content }) => "artifact" in content) };
}
