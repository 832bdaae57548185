/** `pull`: one image from a registry, its layers hashed, stored and turned into EROFS while they arrive. */
import { HullError } from "../../contract/errors.ts";
import { type ParsedConfig, parseConfig } from "../config.ts";
import { type ContentStore, digestOf } from "../content/content-store.ts";
import type { Digest, ProgressEvent, PullOptions } from "../image-store.ts";
import { ingestLayer, type LayerRecord, verifyBytes } from "../layer/ingest.ts";
import {
  choosePlatform,
  type Descriptor,
  type ManifestDocument,
  mediaTypes,
  noPlatform,
  parseManifest,
} from "../manifest.ts";
import { formatPlatform, matchPlatform, parsePlatform } from "../platform.ts";
import type { ImageRecords } from "../records.ts";
import { canonicalName, formatReference, parseReference, type Reference } from "../reference.ts";
import { registerImage } from "../registration.ts";
import { RegistryClient, RegistryNotFound } from "./client.ts";
import type { LayerPool } from "./layer-pool.ts";

const maxDocumentBytes = 8 * 1024 * 1024;
/** Milliseconds between two reports about one layer. */
const reportInterval = 100;

const manifestTypes = [
  mediaTypes.ociIndex,
  mediaTypes.dockerList,
  mediaTypes.ociManifest,
  mediaTypes.dockerManifest,
];
const configTypes = ["", mediaTypes.ociConfig, "application/vnd.docker.container.image.v1+json"];
/** Layers of Docker and OCI, plain, gzip or zstd; what they really are is told by their first bytes. */
const layerTypes =
  /^(application\/vnd\.oci\.image\.layer\.v1\.tar(\+gzip|\+zstd)?|application\/vnd\.docker\.image\.rootfs\.diff\.tar(\.gzip|\.zstd)?|)$/;

interface Pull {
  readonly content: ContentStore;
  readonly records: ImageRecords;
  readonly pool: LayerPool;
  readonly client: RegistryClient;
  readonly reference: Reference;
  readonly onProgress: (event: ProgressEvent) => void;
  readonly signal: AbortSignal;
  /** Ends everything that goes on for this pull. */
  readonly abort: (reason: unknown) => void;
}

interface ChosenManifest {
  /** Of what the reference names: an index, or the manifest itself. */
  readonly topDigest: Digest;
  readonly bytes: Buffer;
  readonly document: Extract<ManifestDocument, { kind: "manifest" }>;
}

/** Returns the image's id. */
export async function pullImage(
  content: ContentStore,
  records: ImageRecords,
  pool: LayerPool,
  text: string,
  options: PullOptions,
): Promise<Digest> {
  const reference = parseReference(text);
  const platform = parsePlatform(options.platform);
  // One layer that fails ends the others.
  const failure = new AbortController();
  const signal = AbortSignal.any([failure.signal, ...(options.signal === undefined ? [] : [options.signal])]);
  const client = new RegistryClient(reference, options.auth, signal);
  const pull: Pull = {
    content,
    records,
    pool,
    client,
    reference,
    onProgress: options.onProgress,
    signal,
    abort: (reason) => failure.abort(reason),
  };
  const before = currentId(records, reference);
  try {
    options.onProgress({
      status: `Pulling from ${reference.path}`,
      id: reference.tag ?? reference.digest ?? "",
    });
    const manifest = await fetchManifest(pull, platform);
    const { bytes: config, parsed } = await fetchConfig(pull, manifest.document.config);
    checkPlatform(pull, parsed, platform, options.platform !== "");
    const layers = await fetchLayers(pull, manifest.document.layers, parsed.diffIds);
    const canonical = canonicalName(reference);
    const id = await registerImage(content, records, {
      config,
      manifest: manifest.bytes,
      layers,
      // A reference with both names the image by its digest, as in Docker.
      references:
        reference.tag === undefined || reference.digest !== undefined
          ? []
          : [{ canonical, tag: reference.tag }],
      digests: [{ canonical, digest: manifest.topDigest }],
    });
    const name = formatReference(reference);
    options.onProgress({ status: `Digest: ${manifest.topDigest}` });
    options.onProgress({
      status:
        before === id
          ? `Status: Image is up to date for ${name}`
          : `Status: Downloaded newer image for ${name}`,
    });
    return id;
  } finally {
    // A connection that nobody waits for any more is closed.
    failure.abort();
  }
}

function currentId(records: ImageRecords, reference: Reference): Digest | undefined {
  const canonical = canonicalName(reference);
  if (reference.digest !== undefined) return records.byDigest({ canonical, digest: reference.digest });
  return reference.tag === undefined ? undefined : records.byTag({ canonical, tag: reference.tag });
}

/** The manifest for the platform, and the digest of what led to it. */
async function fetchManifest(
  pull: Pull,
  platform: ReturnType<typeof parsePlatform>,
): Promise<ChosenManifest> {
  const { reference } = pull;
  const name = formatReference(reference);
  const top = await fetchDocument(pull, reference.digest ?? reference.tag ?? "latest", reference.digest);
  const topDigest = digestOf(top);
  const document = parseManifest(top.toString("utf8"), `the manifest of ${name}`);
  if (document.kind === "manifest") return { topDigest, bytes: top, document };
  const chosen = choosePlatform(document.manifests, platform);
  if (chosen === undefined) throw noPlatform(name, platform);
  const bytes = await fetchDocument(pull, chosen.digest, chosen.digest);
  const inner = parseManifest(
    bytes.toString("utf8"),
    `the manifest of ${name} for ${formatPlatform(platform)}`,
  );
  if (inner.kind === "index")
    throw new HullError("unsupported", {
      what: "an index in an index",
      where: ` (${name})`,
      why: "make it flat",
    });
  await pull.content.putBlob(top);
  return { topDigest, bytes, document: inner };
}

async function fetchDocument(pull: Pull, which: string, expected: Digest | undefined): Promise<Buffer> {
  try {
    const reply = await pull.client.get(`manifests/${which}`, { accept: manifestTypes });
    const bytes = await reply.bytes(maxDocumentBytes);
    if (expected !== undefined) verifyBytes(`the manifest ${which}`, expected, bytes);
    return bytes;
  } catch (error) {
    if (!(error instanceof RegistryNotFound)) throw error;
    throw new HullError(
      "manifestUnknown",
      { reference: formatReference(pull.reference), why: `: ${error.message}` },
      { cause: error },
    );
  }
}

async function fetchConfig(
  pull: Pull,
  descriptor: Descriptor,
): Promise<{ bytes: Buffer; parsed: ParsedConfig }> {
  const name = formatReference(pull.reference);
  if (!configTypes.includes(descriptor.mediaType))
    throw new HullError("unsupported", {
      what: `${name} of type ${descriptor.mediaType}`,
      where: "",
      why: "it is not a container image",
    });
  const reply = await getBlob(pull, descriptor);
  const bytes = await reply.bytes(maxDocumentBytes);
  verifyBytes(`the config of ${name}`, descriptor.digest, bytes);
  return { bytes, parsed: parseConfig(bytes.toString("utf8"), `the config of ${name}`) };
}

async function getBlob(pull: Pull, descriptor: Descriptor) {
  try {
    return await pull.client.get(`blobs/${descriptor.digest}`);
  } catch (error) {
    if (!(error instanceof RegistryNotFound)) throw error;
    const why = `the blob ${descriptor.digest} of ${formatReference(pull.reference)} is missing there`;
    throw new HullError("registry", { host: pull.client.host, why }, { cause: error });
  }
}

/** An image for another platform is refused when the platform was asked for; otherwise the user gets what is there. */
function checkPlatform(
  pull: Pull,
  { platform: offered }: ParsedConfig,
  wanted: ReturnType<typeof parsePlatform>,
  asked: boolean,
): void {
  if (offered.os === wanted.os && (!asked || matchPlatform(wanted, offered) > 0)) return;
  const name = formatReference(pull.reference);
  throw new HullError("conflict", {
    what: `image ${name} was found but its platform (${formatPlatform(offered)}) does not match the specified platform (${formatPlatform(wanted)})`,
  });
}

async function fetchLayers(
  pull: Pull,
  descriptors: readonly Descriptor[],
  diffIds: readonly Digest[],
): Promise<LayerRecord[]> {
  const name = formatReference(pull.reference);
  if (descriptors.length !== diffIds.length)
    throw new HullError("corrupt", {
      what: `the image ${name}`,
      why: `its manifest has ${descriptors.length} layers, but its config has ${diffIds.length}`,
    });
  for (const { mediaType } of descriptors) {
    if (!layerTypes.test(mediaType))
      throw new HullError("unsupported", {
        what: `a layer of type ${mediaType}`,
        where: ` in ${name}`,
        why: "it is not a tar",
      });
  }
  for (const descriptor of descriptors)
    pull.onProgress({ status: "Pulling fs layer", id: shortDigest(descriptor) });
  const known = knownLayers(pull.records);
  const fetchOne = async (descriptor: Descriptor, index: number): Promise<LayerRecord> => {
    const diffId = diffIds[index];
    const layer = known.get(descriptor.digest);
    if (layer !== undefined && layer.diffId === diffId) {
      pull.onProgress({ status: "Already exists", id: shortDigest(descriptor) });
      return layer;
    }
    const fetched = await pull.pool.share(descriptor.digest, pull.signal, () =>
      fetchLayer(pull, descriptor, diffId),
    );
    if (fetched.diffId !== diffId)
      throw new HullError("digestMismatch", {
        what: `the layer ${shortDigest(descriptor)} of ${name}`,
        expected: diffId ?? "",
        actual: fetched.diffId,
      });
    pull.onProgress({ status: "Pull complete", id: shortDigest(descriptor) });
    return fetched;
  };
  // All have ended, one way or the other, before this returns: nothing is written behind the caller's back.
  const results = await Promise.allSettled(
    descriptors.map((descriptor, index) =>
      fetchOne(descriptor, index).catch((error: unknown) => {
        pull.abort(error);
        throw error;
      }),
    ),
  );
  return results.map((result) => {
    if (result.status === "rejected") throw pull.signal.reason ?? result.reason;
    return result.value;
  });
}

async function fetchLayer(
  pull: Pull,
  descriptor: Descriptor,
  diffId: Digest | undefined,
): Promise<LayerRecord> {
  const id = shortDigest(descriptor);
  const total = descriptor.size;
  let current = 0;
  let reported = Date.now();
  const reply = await getBlob(pull, descriptor);
  const layer = await ingestLayer(pull.content, limited(reply.body(), descriptor), {
    what: `layer ${id}`,
    expectedBlob: descriptor.digest,
    ...(diffId === undefined ? {} : { expectedDiffId: diffId }),
    onBytes: (bytes) => {
      current += bytes;
      if (current < total && Date.now() < reported + reportInterval) return;
      reported = Date.now();
      pull.onProgress({ status: "Downloading", id, progressDetail: { current, total } });
      if (current < total) return;
      pull.onProgress({ status: "Download complete", id });
      pull.onProgress({ status: "Extracting", id, progressDetail: { current, total } });
    },
  });
  return layer;
}

/** A registry may not send more than its manifest promised. */
async function* limited(
  source: AsyncIterable<Uint8Array>,
  descriptor: Descriptor,
): AsyncGenerator<Uint8Array> {
  let length = 0;
  for await (const chunk of source) {
    length += chunk.length;
    if (length > descriptor.size)
      throw new HullError("tooLarge", {
        what: `layer ${shortDigest(descriptor)}`,
        value: `more than ${descriptor.size} bytes`,
        limit: `the ${descriptor.size} bytes that its manifest promises`,
      });
    yield chunk;
  }
  if (length < descriptor.size)
    throw new HullError("corrupt", {
      what: `layer ${shortDigest(descriptor)}`,
      why: `${length} of ${descriptor.size} bytes came: try again`,
    });
}

/** Layers of images that are here, by the digest of the blob. */
function knownLayers(records: ImageRecords): Map<Digest, LayerRecord> {
  const known = new Map<Digest, LayerRecord>();
  for (const image of records.all()) for (const layer of image.layers) known.set(layer.blob, layer);
  return known;
}

function shortDigest(descriptor: Descriptor): string {
  return descriptor.digest.slice("sha256:".length, "sha256:".length + 12);
}
