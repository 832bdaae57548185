/** `push`: an image to a registry, byte for byte as it was pulled, loaded or made. */
import { HullError } from "../../contract/errors.ts";
import type { ContentStore } from "../content/content-store.ts";
import { findImage } from "../find.ts";
import type { Digest, ProgressEvent, PushedImage, PushOptions } from "../image-store.ts";
import {
  choosePlatform,
  type Descriptor,
  isForeign,
  type ManifestDocument,
  parseManifest,
} from "../manifest.ts";
import { holdImage } from "../parts.ts";
import { formatPlatform, parsePlatform } from "../platform.ts";
import type { ImageRecord, ImageRecords } from "../records.ts";
import { canonicalName, familiarName, formatReference, parseReference } from "../reference.ts";
import { RegistryClient, RegistryNotFound } from "./client.ts";
import { type RegistryContext, shortDigest } from "./context.ts";
import { mediaTypeOf } from "./documents.ts";
import { isToBePacked, packImage } from "./pack.ts";
import { Places } from "./places.ts";
import { isThere, pushBlob } from "./upload.ts";

/** Repositories that are asked to lend a blob. */
const maxSources = 3;

interface StoredDocument {
  readonly digest: Digest;
  readonly bytes: Buffer;
  readonly document: ManifestDocument;
}

interface PushPlan {
  /** What is named comes before what names it; the last one gets the tag. */
  readonly documents: readonly StoredDocument[];
  readonly blobs: readonly Descriptor[];
}

/** Pushes one tag. Throws `noSuchImage`, `pushDenied`, `unauthorized`, `registry`. */
export async function pushImage(
  context: RegistryContext,
  text: string,
  options: PushOptions,
): Promise<PushedImage> {
  const reference = parseReference(text);
  const { tag } = reference;
  if (tag === undefined || reference.digest !== undefined)
    throw new HullError("invalidReference", {
      value: JSON.stringify(text),
      why: "a push is of a tag: use NAME[:TAG]",
    });
  const { records, content, settings } = context;
  const { onProgress } = options;
  const canonical = canonicalName(reference);
  const name = formatReference(reference);
  const { id } = findImage(records, name);
  holdImage(content, records, id);
  const failure = new AbortController();
  const signal = AbortSignal.any([failure.signal, ...(options.signal === undefined ? [] : [options.signal])]);
  try {
    const found = records.get(id);
    if (found === undefined) throw new HullError("noSuchImage", { name });
    onProgress({ status: `The push refers to repository [${canonical}]` });
    const client = await RegistryClient.open(reference, {
      settings,
      auth: options.auth,
      actions: "pull,push",
      signal,
    });
    // Packing takes long: who is not let in shall hear so before.
    if (isToBePacked(found)) await isThere(client, id, `the config of ${name}`);
    const image = await packImage(context, found, { name, onProgress, signal });
    const top = await topOf(context, { canonical, tag }, image, options.platform, name);
    const plan = await planPush(content, top, name);
    const abort = (reason: unknown): void => failure.abort(reason);
    await pushBlobs(context, client, plan, { name, onProgress, abort });
    for (const document of plan.documents)
      await pushDocument(client, document, document.digest === top ? tag : document.digest, name);
    const size = plan.documents.at(-1)?.bytes.length ?? 0;
    // It may have been removed meanwhile.
    if (records.get(id) !== undefined) records.setDigest({ canonical, digest: top }, id);
    onProgress({ status: `${tag}: digest: ${top} size: ${size}` });
    onProgress({ status: "", progressDetail: {}, aux: { Tag: tag, Digest: top, Size: size } });
    return { tag, digest: top, size };
  } finally {
    failure.abort();
  }
}

/** The index that the tag was pulled as, when all of it is here; otherwise the manifest of this image. */
async function topOf(
  { records, content }: RegistryContext,
  tag: { readonly canonical: string; readonly tag: string },
  image: ImageRecord,
  platform: string,
  name: string,
): Promise<Digest> {
  const target = records.targetOf(tag);
  const whole = target !== undefined && records.partsOf(target) !== undefined ? target : undefined;
  if (platform === "") return whole ?? image.manifest;
  const wanted = parsePlatform(platform);
  const { document } = await readDocument(content, whole ?? image.manifest, name);
  if (document.kind === "index") {
    const chosen = choosePlatform(document.manifests, wanted);
    if (chosen !== undefined) return chosen.digest;
  } else if (offers(image, platform)) return image.manifest;
  throw new HullError("conflict", {
    what: `image ${name} is here without its part for ${formatPlatform(wanted)}: pull it with --platform all`,
  });
}

function offers(image: ImageRecord, platform: string): boolean {
  const { os, architecture } = parsePlatform(platform);
  const config: unknown = JSON.parse(image.config);
  return (
    typeof config === "object" &&
    config !== null &&
    "os" in config &&
    config.os === os &&
    "architecture" in config &&
    config.architecture === architecture
  );
}

async function readDocument(content: ContentStore, digest: Digest, name: string): Promise<StoredDocument> {
  const bytes = await content.readBlob(digest);
  const document = parseManifest(bytes.toString("utf8"), `the stored manifest ${digest} of ${name}`);
  return { digest, bytes, document };
}

/** All that has to be there before `top` may name it. */
export async function planPush(content: ContentStore, top: Digest, name: string): Promise<PushPlan> {
  const documents = new Map<Digest, StoredDocument>();
  const blobs = new Map<Digest, Descriptor>();
  const visit = async (digest: Digest): Promise<void> => {
    if (documents.has(digest)) return;
    const stored = await readDocument(content, digest, name);
    const { document } = stored;
    if (document.kind === "index") for (const child of document.manifests) await visit(child.digest);
    else for (const blob of [document.config, ...document.layers]) blobs.set(blob.digest, blob);
    documents.set(digest, stored);
  };
  await visit(top);
  return { documents: [...documents.values()], blobs: [...blobs.values()] };
}

async function pushBlobs(
  context: RegistryContext,
  client: RegistryClient,
  { documents, blobs }: PushPlan,
  how: {
    readonly name: string;
    readonly onProgress: (event: ProgressEvent) => void;
    readonly abort: (reason: unknown) => void;
  },
): Promise<void> {
  const { name, onProgress, abort } = how;
  const configs = new Set(
    documents.flatMap(({ document }) => (document.kind === "manifest" ? [document.config.digest] : [])),
  );
  const sources = sourcesOf(context.records, client, blobs);
  const places = new Places(context.settings.uploads);
  for (const { digest } of blobs)
    if (!configs.has(digest)) onProgress({ status: "Preparing", id: shortDigest(digest) });
  const pushOne = async (descriptor: Descriptor): Promise<void> => {
    const { digest } = descriptor;
    const id = shortDigest(digest);
    // Docker shows no bar for a config.
    const emit = configs.has(digest) ? () => undefined : onProgress;
    if (isForeign(descriptor)) return emit({ status: "Skipped foreign layer", id });
    if ((await context.content.blobSize(digest)) === undefined)
      throw new HullError("corrupt", {
        what: `the image ${name}`,
        why: `its blob ${digest} is missing here`,
      });
    const what = configs.has(digest) ? `the config of ${name}` : `layer ${id} of ${name}`;
    await places.take(client.signal, () =>
      pushBlob(context, client, { descriptor, what, sources: sources.get(digest) ?? [], emit }),
    );
  };
  // All have ended before this returns.
  const results = await Promise.allSettled(
    blobs.map((descriptor) =>
      pushOne(descriptor).catch((error: unknown) => {
        abort(error);
        throw error;
      }),
    ),
  );
  for (const result of results) if (result.status === "rejected") throw client.signal.reason ?? result.reason;
}

/** Other repositories of the registry that images with these blobs were pulled from or pushed to. */
function sourcesOf(
  records: ImageRecords,
  client: RegistryClient,
  blobs: readonly Descriptor[],
): Map<Digest, string[]> {
  const sources = new Map<Digest, string[]>(blobs.map(({ digest }) => [digest, []]));
  const own = canonicalName(client);
  for (const image of records.all()) {
    const paths = records
      .digestsOf(image.id)
      .map(({ canonical }) => canonical)
      .filter((canonical) => canonical.startsWith(`${client.domain}/`) && canonical !== own)
      .map((canonical) => canonical.slice(client.domain.length + 1));
    for (const blob of [image.id, ...image.layers.map((layer) => layer.blob)]) {
      const known = sources.get(blob);
      for (const path of paths)
        if (known !== undefined && known.length < maxSources && !known.includes(path)) known.push(path);
    }
  }
  return sources;
}

async function pushDocument(
  client: RegistryClient,
  { digest, bytes, document }: StoredDocument,
  which: string,
  name: string,
): Promise<void> {
  const what = `the manifest of ${name}`;
  const headers = { "content-type": mediaTypeOf(document) };
  const at = `${client.path}/manifests/${which}`;
  try {
    const reply = await client.write({ method: "PUT", at, headers, body: bytes }, what);
    await reply.discard();
    const stored = reply.header("docker-content-digest") ?? digest;
    if (stored !== digest)
      throw new HullError("digestMismatch", {
        what: `${what}, as ${familiarName(client.domain)} stored it,`,
        expected: digest,
        actual: stored,
      });
  } catch (error) {
    if (!(error instanceof RegistryNotFound)) throw error;
    throw new HullError(
      "registry",
      { host: client.domain, why: `${what}: ${error.message}` },
      { cause: error },
    );
  }
}
