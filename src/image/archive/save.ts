/**
 * `save`: images as one archive that is an OCI layout and Docker's own format at once. Blobs are as they were pulled
 * or made, so that whoever loads the archive gets the same digests; the same images give the same bytes.
 * Sources: OCI image-spec, image-layout.md; moby image/tarexport; containerd's annotation io.containerd.image.name.
 */
import { createReadStream } from "node:fs";
import { HullError } from "../../contract/errors.ts";
import { tarEnd, tarHeader, tarPadding } from "../../contract/tar-header.ts";
import type { ContentStore } from "../content/content-store.ts";
import { findImage } from "../find.ts";
import type { Digest } from "../image-store.ts";
import { parseManifest } from "../manifest.ts";
import { holdImage } from "../parts.ts";
import { hostPlatform } from "../platform.ts";
import type { ImageRecord, ImageRecords, NamedReference } from "../records.ts";
import { canonicalName, familiarName, parseReference } from "../reference.ts";
import { mediaTypeOf } from "../registry/documents.ts";

/** Where an archive's index tells an image's whole name, and its tag. */
export const nameAnnotation = "io.containerd.image.name";
export const tagAnnotation = "org.opencontainers.image.ref.name";

interface Wanted {
  readonly image: ImageRecord;
  /** Empty: the image is saved without a name. */
  readonly names: NamedReference[];
}

interface TopDescriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly platform?: { readonly os: string; readonly architecture: string; readonly variant?: string };
}

/** What is in an archive, found out before its first byte. */
export interface SavePlan {
  /** In the order they are written. */
  readonly blobs: readonly { readonly digest: Digest; readonly size: number }[];
  /** By their names in the archive. */
  readonly documents: Readonly<Record<string, Buffer>>;
}

/** Throws `noSuchImage`, and `corrupt` when a part of an image is missing. */
export async function planSave(
  content: ContentStore,
  records: ImageRecords,
  names: readonly string[],
): Promise<SavePlan> {
  const wanted = wantedImages(content, records, names);
  const blobs = new Map<Digest, number>();
  const tops: TopDescriptor[] = [];
  for (const { image, names: own } of wanted) {
    for (const digest of partsOf(image)) await addBlob(content, blobs, digest, image.id);
    for (const name of own.length === 0 ? [undefined] : own)
      tops.push(await topOf(content, records, blobs, image, name));
  }
  return {
    blobs: [...blobs]
      .map(([digest, size]) => ({ digest, size }))
      .sort((a, b) => (a.digest < b.digest ? -1 : 1)),
    documents: {
      "index.json": json({
        schemaVersion: 2,
        mediaType: "application/vnd.oci.image.index.v1+json",
        manifests: tops,
      }),
      "manifest.json": json(wanted.filter(({ image }) => image.artifact === undefined).map(dockerEntry)),
      "oci-layout": json({ imageLayoutVersion: "1.0.0" }),
    },
  };
}

export async function* saveArchive(
  content: ContentStore,
  plan: SavePlan,
): AsyncGenerator<Uint8Array, void, undefined> {
  const directory = (path: string): Uint8Array => header(path, "directory", 0);
  yield directory("blobs");
  yield directory("blobs/sha256");
  for (const { digest, size } of plan.blobs) {
    yield header(blobPath(digest), "file", size);
    for await (const chunk of createReadStream(content.blobPath(digest), { highWaterMark: 256 * 1024 }))
      yield chunk;
    yield tarPadding(size);
  }
  for (const [path, bytes] of Object.entries(plan.documents)) {
    yield header(path, "file", bytes.length);
    yield bytes;
    yield tarPadding(bytes.length);
  }
  yield tarEnd;
}

/** Lets go when the archive has been read to its end or was given up, even if it was never begun. */
export function disposedAfter(
  resources: AsyncDisposable,
  source: AsyncGenerator<Uint8Array, void, undefined>,
): AsyncGenerator<Uint8Array, void, undefined> {
  let disposed: PromiseLike<void> | undefined;
  const dispose = (): PromiseLike<void> => {
    disposed ??= resources[Symbol.asyncDispose]();
    return disposed;
  };
  const afterwards = async (step: Promise<IteratorResult<Uint8Array, void>>) => {
    try {
      const result = await step;
      if (result.done === true) await dispose();
      return result;
    } catch (error) {
      await dispose();
      throw error;
    }
  };
  return {
    next: () => afterwards(source.next()),
    return: () => afterwards(source.return()),
    throw: (error) => afterwards(source.throw(error)),
    [Symbol.asyncIterator]() {
      return this;
    },
    async [Symbol.asyncDispose]() {
      await this.return();
    },
  };
}

/** A name without a tag means all tags of it; an id, or a name with a digest, the image without a name. */
function wantedImages(content: ContentStore, records: ImageRecords, texts: readonly string[]): Wanted[] {
  const found = new Map<Digest, Wanted>();
  const add = (id: Digest, names: readonly NamedReference[]): void => {
    const image = records.get(id);
    if (image === undefined) throw new HullError("noSuchImage", { name: id });
    holdImage(content, records, id);
    const wanted = found.get(id) ?? { image, names: [] };
    for (const name of names)
      if (!wanted.names.some((each) => each.canonical === name.canonical && each.tag === name.tag))
        wanted.names.push(name);
    found.set(id, wanted);
  };
  for (const text of texts) {
    const all = allTags(records, text);
    for (const name of all) add(records.byTag(name) ?? neverId(), [name]);
    if (all.length > 0) continue;
    const { id, by } = findImage(records, text);
    add(id, by !== "id" && "tag" in by ? [by.tag] : []);
  }
  return [...found.values()];
}

function allTags(records: ImageRecords, text: string): NamedReference[] {
  if (/[:@]/.test(text.slice(text.lastIndexOf("/") + 1))) return [];
  if (/^[0-9a-f]{64}$/.test(text)) return [];
  const canonical = canonicalName(parseReference(text));
  return records.tagsIn(canonical).map((tag) => ({ canonical, tag }));
}

function neverId(): never {
  throw new Error("a tag that is there names an image");
}

function partsOf(image: ImageRecord): Digest[] {
  const own = [image.manifest, ...image.layers.map((layer) => layer.blob)];
  return image.artifact === undefined ? [image.id, ...own] : own;
}

/** What a name stands for: the index it was pulled as, if all of that is here; else the image's manifest. */
async function topOf(
  content: ContentStore,
  records: ImageRecords,
  blobs: Map<Digest, number>,
  image: ImageRecord,
  name: NamedReference | undefined,
): Promise<TopDescriptor> {
  const target = name === undefined ? undefined : records.targetOf(name);
  const parts = records.partsOf(target ?? image.id);
  const digest = parts === undefined ? image.manifest : (target ?? image.id);
  for (const part of parts ?? []) await addBlob(content, blobs, part, image.id);
  const bytes = await content.readBlob(digest);
  const document = parseManifest(bytes.toString("utf8"), `the stored manifest ${digest}`);
  const annotations =
    name === undefined
      ? {}
      : {
          annotations: {
            [nameAnnotation]: `${name.canonical}:${name.tag}`,
            [tagAnnotation]: name.tag,
          },
        };
  const platform = document.kind === "manifest" && image.artifact === undefined ? platformOf(image) : {};
  return { mediaType: mediaTypeOf(document), digest, size: bytes.length, ...annotations, ...platform };
}

function platformOf({ config }: ImageRecord): Pick<TopDescriptor, "platform"> {
  const told: unknown = JSON.parse(config);
  const text = (key: string): string =>
    typeof told === "object" && told !== null && key in told
      ? String((told as Record<string, unknown>)[key])
      : "";
  const host = hostPlatform();
  const variant = text("variant");
  return {
    platform: {
      architecture: text("architecture") || host.architecture,
      os: text("os") || host.os,
      ...(variant === "" ? {} : { variant }),
    },
  };
}

async function addBlob(
  content: ContentStore,
  blobs: Map<Digest, number>,
  digest: Digest,
  image: Digest,
): Promise<void> {
  if (blobs.has(digest)) return;
  const size = await content.blobSize(digest);
  if (size === undefined)
    throw new HullError("corrupt", {
      what: `the image ${image}`,
      why: `its blob ${digest} is missing: run \`hull image verify\``,
    });
  blobs.set(digest, size);
}

function dockerEntry({ image, names }: Wanted) {
  return {
    Config: blobPath(image.id),
    RepoTags:
      names.length === 0 ? null : names.map(({ canonical, tag }) => `${familiarName(canonical)}:${tag}`),
    Layers: image.layers.map((layer) => blobPath(layer.blob)),
  };
}

function blobPath(digest: Digest): string {
  return `blobs/sha256/${digest.slice("sha256:".length)}`;
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

function header(path: string, type: "file" | "directory", size: number): Uint8Array {
  const mode = type === "file" ? 0o644 : 0o755;
  return tarHeader({ path, type, mode, uid: 0, gid: 0, mtimeSeconds: 0, size });
}
