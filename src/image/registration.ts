/** The last step of every pull, import and load: the config and the manifest are stored, then the image is recorded. */
import { HullError } from "../contract/errors.ts";
import { emptyConfig, formatConfig, parseConfig } from "./config.ts";
import { type ContentStore, digestOf } from "./content/content-store.ts";
import type { Digest } from "./image-store.ts";
import type { LayerRecord } from "./layer/ingest.ts";
import { formatManifest } from "./manifest.ts";
import type { ImageRecords, NamedDigest, NamedReference } from "./records.ts";

export interface NewImage {
  /** The config's JSON, byte for byte: its digest is the image's id. */
  readonly config: Uint8Array;
  /** The manifest as it was pulled or loaded; one is made when there is none. */
  readonly manifest: Uint8Array | undefined;
  readonly layers: readonly LayerRecord[];
  readonly references: readonly NamedReference[];
  readonly digests: readonly NamedDigest[];
  /** The index or manifest that the references were pulled as. */
  readonly target?: Digest;
  /** All that the target consists of, when all of it is stored. */
  readonly whole?: readonly Digest[];
}

/** An image whose parts are all stored and checked, but which is not visible yet. */
export interface PreparedImage {
  readonly id: Digest;
  readonly references: readonly NamedReference[];
  /** Records it; to be called inside a transaction. */
  readonly record: () => void;
}

/** All layers are in the content store, whose `settle` is the caller's. Throws `corrupt` when they are not the config's. */
export async function prepareImage(
  content: ContentStore,
  records: ImageRecords,
  image: NewImage,
): Promise<PreparedImage> {
  const id = digestOf(image.config);
  const config = Buffer.from(image.config).toString("utf8");
  const { diffIds } = parseConfig(config, `the image config ${id}`);
  const actual = image.layers.map((layer) => layer.diffId);
  if (diffIds.length !== actual.length || diffIds.some((diffId, index) => diffId !== actual[index]))
    throw new HullError("corrupt", {
      what: `the image ${id}`,
      why: `its config names ${diffIds.length} layers which are not the ${actual.length} that it has`,
    });
  await content.putBlob(image.config);
  const { manifest, layers } = await keepManifest(content, records, id, image);
  return {
    id,
    references: image.references,
    record: () => {
      records.put({ id, manifest, config, layers });
      for (const reference of image.references) records.setTag(reference, id, image.target);
      for (const named of image.digests) records.setDigest(named, id);
      if (image.target !== undefined && image.whole !== undefined)
        records.keepWhole(image.target, image.whole);
    },
  };
}

/** A manifest that was pulled or loaded is never replaced by one that would only be made here. */
async function keepManifest(
  content: ContentStore,
  records: ImageRecords,
  id: Digest,
  image: NewImage,
): Promise<{ manifest: Digest; layers: readonly LayerRecord[] }> {
  const before = records.get(id);
  if (image.manifest === undefined && before !== undefined) {
    // Its image may be removed before this one is recorded.
    content.hold(before.manifest, ...before.layers.flatMap((layer) => [layer.blob, layer.diffId]));
    return before;
  }
  const manifest = image.manifest ?? Buffer.from(formatManifest(image.config, id, image.layers));
  return { manifest: await content.putBlob(manifest), layers: image.layers };
}

/** Stores and records one image; returns its id. */
export async function registerImage(
  content: ContentStore,
  records: ImageRecords,
  image: NewImage,
): Promise<Digest> {
  const prepared = await prepareImage(content, records, image);
  await content.settle();
  records.transaction(prepared.record);
  return prepared.id;
}

export interface NewArtifact {
  /** The digest of its manifest or index. */
  readonly id: Digest;
  readonly type: string;
  readonly bytes: number;
  /** All that it consists of; all of it is stored. */
  readonly whole: readonly Digest[];
  /** RFC 3339, or empty. */
  readonly created: string;
  readonly references: readonly NamedReference[];
  readonly digests: readonly NamedDigest[];
}

/** What is no container image, stored but not yet visible. */
export function prepareArtifact(records: ImageRecords, artifact: NewArtifact): PreparedImage {
  const { id, bytes } = artifact;
  // Media types have 255 characters at most (RFC 6838); strangers may write what they like.
  const type = artifact.type.slice(0, 255);
  const nowhere = { os: "", architecture: "", variant: "" };
  const config = formatConfig(emptyConfig(nowhere, artifact.created), nowhere, []);
  return {
    id,
    references: artifact.references,
    record: () => {
      records.put({ id, manifest: id, config, layers: [], artifact: { type, bytes } });
      for (const reference of artifact.references) records.setTag(reference, id, id);
      for (const named of artifact.digests) records.setDigest(named, id);
      records.keepWhole(id, artifact.whole);
    },
  };
}

/** Records what is no container image. */
export async function registerArtifact(
  content: ContentStore,
  records: ImageRecords,
  artifact: NewArtifact,
): Promise<Digest> {
  const prepared = prepareArtifact(records, artifact);
  await content.settle();
  records.transaction(prepared.record);
  return prepared.id;
}
