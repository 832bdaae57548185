/** `pull`: what one reference names, from a registry. */
import { HullError } from "../../contract/errors.ts";
import { type ParsedConfig, parseConfig } from "../config.ts";
import type { Digest, ProgressEvent, PullOptions } from "../image-store.ts";
import { choosePlatform, type ImageManifest, noPlatform, whyArtifact } from "../manifest.ts";
import { formatPlatform, matchPlatform, type Platform, parsePlatform } from "../platform.ts";
import type { ImageRecords } from "../records.ts";
import { canonicalName, formatReference, parseReference, type Reference } from "../reference.ts";
import { registerArtifact, registerImage } from "../registration.ts";
import { fetchConfig } from "./blobs.ts";
import { RegistryClient } from "./client.ts";
import type { RegistryContext } from "./context.ts";
import { type Copied, copyWhole } from "./copy.ts";
import { type FetchedDocument, fetchNamed, fetchTop } from "./documents.ts";
import { fetchLayers } from "./layers.ts";

/** In place of a platform: all that an index has are kept, so that a push gives the index again. */
const allPlatforms = "all";

interface Pull {
  readonly context: RegistryContext;
  readonly client: RegistryClient;
  readonly reference: Reference;
  readonly name: string;
  readonly onProgress: (event: ProgressEvent) => void;
  /** Ends everything that goes on for this pull. */
  readonly abort: (reason: unknown) => void;
}

/** Returns the image's id. */
export async function pullImage(
  context: RegistryContext,
  text: string,
  options: PullOptions,
): Promise<Digest> {
  const reference = parseReference(text);
  const wanted = options.platform === allPlatforms ? undefined : parsePlatform(options.platform);
  // One layer that fails ends the others.
  const failure = new AbortController();
  const signal = AbortSignal.any([failure.signal, ...(options.signal === undefined ? [] : [options.signal])]);
  const { settings, records } = context;
  const before = currentId(records, reference);
  const { onProgress } = options;
  try {
    const client = await RegistryClient.open(reference, {
      settings,
      auth: options.auth,
      actions: "pull",
      signal,
    });
    const name = formatReference(reference);
    const abort = (reason: unknown): void => failure.abort(reason);
    const pull: Pull = { context, client, reference, name, onProgress, abort };
    const top = await fetchTop(client, reference);
    // Before this, a failure has an answer of its own on the API.
    onProgress({ status: `Pulling from ${reference.path}`, id: reference.tag ?? reference.digest ?? "" });
    const id =
      wanted === undefined
        ? await pullWhole(pull, top)
        : await pullPlatform(pull, top, wanted, options.platform !== "");
    onProgress({ status: `Digest: ${top.digest}` });
    const words = before === id ? "Image is up to date" : "Downloaded newer image";
    onProgress({ status: `Status: ${words} for ${name}` });
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

async function pullPlatform(
  pull: Pull,
  top: FetchedDocument,
  wanted: Platform,
  asked: boolean,
): Promise<Digest> {
  const manifest = await manifestFor(pull, top, wanted);
  if (manifest === undefined) throw noPlatform(pull.name, wanted);
  const type = whyArtifact(manifest.document);
  if (type === undefined) {
    if (top.digest !== manifest.digest) await pull.context.content.putBlob(top.bytes);
    return pullRunnable(pull, top, manifest, asked ? wanted : undefined, undefined);
  }
  return pullArtifact(pull, top, type);
}

/** The index with everything in it; the host's own image of it can be run. */
async function pullWhole(pull: Pull, top: FetchedDocument): Promise<Digest> {
  if (top.document.kind === "manifest") return pullPlatform(pull, top, parsePlatform(""), false);
  const manifest = await manifestFor(pull, top, parsePlatform(""));
  if (manifest === undefined || whyArtifact(manifest.document) !== undefined)
    return pullArtifact(pull, top, top.mediaType);
  // What the image's own layers need is fetched once, as layers; the rest is copied behind them.
  return pullRunnable(pull, top, manifest, undefined, () => copyAll(pull, top));
}

/** The manifest for the platform; undefined when there is none. */
async function manifestFor(
  { client, name }: Pull,
  top: FetchedDocument,
  wanted: Platform,
): Promise<(FetchedDocument & { readonly document: ImageManifest }) | undefined> {
  if (top.document.kind === "manifest") return { ...top, document: top.document };
  const chosen = choosePlatform(top.document.manifests, wanted);
  if (chosen === undefined) return undefined;
  const fetched = await fetchNamed(client, chosen);
  if (fetched.document.kind === "manifest") return { ...fetched, document: fetched.document };
  throw new HullError("unsupported", {
    what: "an index in an index",
    where: ` (${name})`,
    why: "make it flat, or pull with --platform all",
  });
}

async function pullRunnable(
  pull: Pull,
  top: FetchedDocument,
  { bytes: manifest, document }: { readonly bytes: Buffer; readonly document: ImageManifest },
  platform: Platform | undefined,
  rest: (() => Promise<Copied>) | undefined,
): Promise<Digest> {
  const { context, client, name, onProgress, abort } = pull;
  const config = await fetchConfig(client, document.config, name);
  const parsed = parseConfig(config.toString("utf8"), `the config of ${name}`);
  checkPlatform(name, parsed, platform);
  const { diffIds } = parsed;
  const descriptors = document.layers;
  const layers = await fetchLayers(context, { client, name, descriptors, diffIds, onProgress, abort });
  const whole = await rest?.();
  return registerImage(context.content, context.records, {
    config,
    manifest,
    layers,
    ...namesOf(pull, top),
    target: top.digest,
    ...(whole === undefined ? {} : { whole: whole.digests }),
  });
}

async function pullArtifact(pull: Pull, top: FetchedDocument, type: string): Promise<Digest> {
  const copied = await copyAll(pull, top);
  return registerArtifact(pull.context.content, pull.context.records, {
    id: top.digest,
    type,
    bytes: copied.bytes,
    whole: copied.digests,
    created: top.document.annotations["org.opencontainers.image.created"] ?? "",
    ...namesOf(pull, top),
  });
}

function copyAll({ context, client, name, onProgress, abort }: Pull, top: FetchedDocument): Promise<Copied> {
  return copyWhole(context, client, top, name, onProgress, abort);
}

function namesOf({ reference }: Pull, top: FetchedDocument) {
  const canonical = canonicalName(reference);
  const { tag, digest } = reference;
  return {
    // A reference with both names the image by its digest, as in Docker.
    references: tag === undefined || digest !== undefined ? [] : [{ canonical, tag }],
    digests: [{ canonical, digest: top.digest }],
  };
}

/** An image for another platform is refused when the platform was asked for; otherwise the user gets what is there. */
function checkPlatform(name: string, { platform: offered }: ParsedConfig, asked: Platform | undefined): void {
  const wanted = asked ?? parsePlatform("");
  if (offered.os === wanted.os && (asked === undefined || matchPlatform(wanted, offered) > 0)) return;
  throw new HullError("conflict", {
    what: `image ${name} was found but its platform (${formatPlatform(offered)}) does not match the specified platform (${formatPlatform(wanted)})`,
  });
}
