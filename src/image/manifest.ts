/** Manifests and indexes of images, Docker's and OCI's. Sources: OCI image-spec manifest.md, image-index.md; Docker image manifest v2 schema 2. */
import * as v from "valibot";
import { dictionary } from "../contract/dictionary.ts";
import { HullError } from "../contract/errors.ts";
import { parseJson } from "./config.ts";
import { isDigest } from "./content/content-store.ts";
import type { Digest } from "./image-store.ts";
import type { Compression } from "./layer/decompress.ts";
import type { LayerRecord } from "./layer/ingest.ts";
import { formatPlatform, matchPlatform, type Platform } from "./platform.ts";

export const mediaTypes = {
  dockerManifest: "application/vnd.docker.distribution.manifest.v2+json",
  dockerList: "application/vnd.docker.distribution.manifest.list.v2+json",
  dockerSchema1: "application/vnd.docker.distribution.manifest.v1+prettyjws",
  ociManifest: "application/vnd.oci.image.manifest.v1+json",
  ociIndex: "application/vnd.oci.image.index.v1+json",
  ociConfig: "application/vnd.oci.image.config.v1+json",
} as const;

const layerTypes: Readonly<Record<Compression, string>> = {
  none: "application/vnd.oci.image.layer.v1.tar",
  gzip: "application/vnd.oci.image.layer.v1.tar+gzip",
  zstd: "application/vnd.oci.image.layer.v1.tar+zstd",
  xz: "application/vnd.oci.image.layer.v1.tar",
};

const digest = v.custom<Digest>(
  (value) => typeof value === "string" && isDigest(value),
  "not a sha256 digest",
);
const size = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

const descriptorSchema = v.object({
  mediaType: v.optional(v.string(), ""),
  digest,
  size,
  annotations: v.optional(v.nullable(dictionary(v.string()), {}), {}),
  /** Where foreign layers are, which registries need not have. */
  urls: v.optional(v.nullable(v.array(v.string()), []), []),
  platform: v.optional(
    v.object({
      os: v.string(),
      architecture: v.string(),
      variant: v.optional(v.string(), ""),
    }),
  ),
});
export type Descriptor = v.InferOutput<typeof descriptorSchema>;

const documentSchema = v.object({
  schemaVersion: v.number(),
  mediaType: v.optional(v.string(), ""),
  artifactType: v.optional(v.string(), ""),
  annotations: v.optional(v.nullable(dictionary(v.string()), {}), {}),
  config: v.optional(descriptorSchema),
  layers: v.optional(v.array(descriptorSchema)),
  manifests: v.optional(v.array(descriptorSchema)),
});

interface DocumentHead {
  /** What it says of itself; empty: nothing. */
  readonly mediaType: string;
  /** What an artifact is of; empty: not said. */
  readonly artifactType: string;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface ImageManifest extends DocumentHead {
  readonly kind: "manifest";
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

export interface ImageIndex extends DocumentHead {
  readonly kind: "index";
  readonly manifests: readonly Descriptor[];
}

export type ManifestDocument = ImageManifest | ImageIndex;

/** Most layers of one image; Docker stops at 127. */
const maxLayers = 500;
/** Most manifests of one index. */
const maxManifests = 500;

const configTypes = ["", mediaTypes.ociConfig, "application/vnd.docker.container.image.v1+json"];
/** Layers of Docker and OCI, plain, gzip or zstd; what they really are is told by their first bytes. */
const tarTypes =
  /^(application\/vnd\.oci\.image\.layer\.(nondistributable\.)?v1\.tar(\+gzip|\+zstd)?|application\/vnd\.docker\.image\.rootfs\.(foreign\.)?diff\.tar(\.gzip|\.zstd)?|)$/;

/** Why a manifest is no container image, but something else that registries keep; undefined: it is one. */
export function whyArtifact({ config, layers, artifactType }: ImageManifest): string | undefined {
  if (!configTypes.includes(config.mediaType)) return artifactType || config.mediaType;
  return layers.find((layer) => !tarTypes.test(layer.mediaType))?.mediaType;
}

/** Whether a layer is one that is not to be pushed: who needs it gets it from its URLs. */
export function isForeign({ mediaType, urls }: Descriptor): boolean {
  return urls.length > 0 && /foreign|nondistributable/.test(mediaType);
}

/** Tells manifest and index apart by what they have. Throws `corrupt`, or `unsupported` for Docker's schema 1. */
export function parseManifest(json: string, what: string): ManifestDocument {
  const document = parseJson(documentSchema, json, what);
  if (document.schemaVersion === 1)
    throw new HullError("unsupported", {
      what: "an image manifest of Docker's schema 1",
      where: ` (${what})`,
      why: "push the image again with a current tool",
    });
  const { mediaType, artifactType, annotations, manifests } = document;
  const head = { mediaType, artifactType, annotations };
  if (manifests !== undefined) {
    if (manifests.length > maxManifests)
      throw new HullError("tooLarge", { what, value: `${manifests.length} manifests`, limit: maxManifests });
    return { ...head, kind: "index", manifests };
  }
  if (document.config === undefined || document.layers === undefined)
    throw new HullError("corrupt", { what, why: "it is neither an image manifest nor an index" });
  if (document.layers.length > maxLayers)
    throw new HullError("tooLarge", { what, value: `${document.layers.length} layers`, limit: maxLayers });
  return { ...head, kind: "manifest", config: document.config, layers: document.layers };
}

/** The manifest of an index that serves `wanted` best; undefined when none does. */
export function choosePlatform(manifests: readonly Descriptor[], wanted: Platform): Descriptor | undefined {
  let best: Descriptor | undefined;
  let bestMatch = 0;
  for (const descriptor of manifests) {
    if (descriptor.platform === undefined) continue;
    const match = matchPlatform(wanted, descriptor.platform);
    if (match > bestMatch) {
      best = descriptor;
      bestMatch = match;
    }
  }
  if (best !== undefined) return best;
  // An index without platforms has one thing to offer.
  const [only, ...others] = manifests;
  return others.length === 0 && only?.platform === undefined ? only : undefined;
}

export function noPlatform(what: string, wanted: Platform): HullError {
  return new HullError("conflict", {
    what: `no matching manifest for ${formatPlatform(wanted)} in the manifest list entries of ${what}`,
  });
}

/** The manifest of an image that was not pulled: a push gives it these digests. */
export function formatManifest(
  config: Uint8Array,
  configDigest: Digest,
  layers: readonly LayerRecord[],
): string {
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: { mediaType: mediaTypes.ociConfig, digest: configDigest, size: config.length },
    layers: layers.map((layer) => ({
      mediaType: layerTypes[layer.compression],
      digest: layer.blob,
      size: layer.blobBytes,
    })),
  });
}
