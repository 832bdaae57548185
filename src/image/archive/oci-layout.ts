/** The OCI side of an archive: what its index names, and what of it is there. Source: OCI image-spec, image-layout.md. */
import { HullError } from "../../contract/errors.ts";
import type { Digest } from "../image-store.ts";
import {
  choosePlatform,
  type Descriptor,
  type ImageManifest,
  type ManifestDocument,
  noPlatform,
  parseManifest,
  whyArtifact,
} from "../manifest.ts";
import { hostPlatform } from "../platform.ts";
import type { NamedReference } from "../records.ts";
import { canonicalName, parseReference } from "../reference.ts";
import { mediaTypeOf } from "../registry/documents.ts";
import type { Spool } from "./spool.ts";

export const maxImages = 1000;
/** Indexes in indexes. */
const maxDepth = 4;
const maxParts = 20_000;

/** Where an image's name is in an OCI layout. */
const nameAnnotations = ["io.containerd.image.name", "org.opencontainers.image.ref.name"];

export interface LayoutItem {
  /** Of what the index names: an index or a manifest. */
  readonly digest: Digest;
  readonly name: NamedReference | undefined;
  /** All that it consists of, with its bytes; undefined when some of it is not in the archive. */
  readonly whole: { readonly digests: readonly Digest[]; readonly bytes: number } | undefined;
  /** The host's own image of it, or, of what is none, the media type. */
  readonly content:
    | { readonly manifest: Buffer; readonly document: ImageManifest }
    | { readonly artifact: string; readonly created: string };
}

export async function layoutItems(spool: Spool, what: string): Promise<LayoutItem[]> {
  const items: LayoutItem[] = [];
  for (const descriptor of hostsOwn(await indexOf(spool, what), what))
    items.push(await itemOf(spool, descriptor, what));
  return items;
}

async function indexOf(spool: Spool, what: string): Promise<readonly Descriptor[]> {
  const bytes = await spool.document("index.json");
  const index = parseManifest(bytes.toString("utf8"), `index.json in ${what}`);
  if (index.kind !== "index") throw new HullError("corrupt", { what, why: "its index.json is not an index" });
  if (index.manifests.length > maxImages)
    throw new HullError("tooLarge", { what, value: `${index.manifests.length} images`, limit: maxImages });
  return index.manifests;
}

/** Several descriptors with platforms are one image for several: the host's is taken. */
function hostsOwn(descriptors: readonly Descriptor[], what: string): readonly Descriptor[] {
  const named = descriptors.some((descriptor) => nameOf(descriptor) !== undefined);
  if (named || descriptors.length < 2 || descriptors.some((descriptor) => descriptor.platform === undefined))
    return descriptors;
  const chosen = choosePlatform(descriptors, hostPlatform());
  if (chosen === undefined) throw noPlatform(what, hostPlatform());
  return [chosen];
}

async function itemOf(spool: Spool, descriptor: Descriptor, what: string): Promise<LayoutItem> {
  const { digest } = descriptor;
  const top = await documentOf(spool, digest, what);
  const whole = await wholeOf(spool, digest, what);
  const artifact = (type: string): LayoutItem => {
    if (whole === undefined)
      throw new HullError("corrupt", { what, why: `parts of ${digest} are not in it` });
    const created = top.document.annotations["org.opencontainers.image.created"] ?? "";
    return { digest, name: nameOf(descriptor), whole, content: { artifact: type, created } };
  };
  const chosen = await hostsManifest(spool, top, what);
  if (chosen === undefined) {
    if (whole === undefined) throw noPlatform(what, hostPlatform());
    return artifact(mediaTypeOf(top.document));
  }
  const type = whyArtifact(chosen.document);
  if (type !== undefined) return artifact(top.document.kind === "index" ? mediaTypeOf(top.document) : type);
  const content = { manifest: chosen.bytes, document: chosen.document };
  return { digest, name: nameOf(descriptor), whole, content };
}

interface LayoutDocument {
  readonly bytes: Buffer;
  readonly document: ManifestDocument;
}

async function documentOf(spool: Spool, digest: Digest, what: string): Promise<LayoutDocument> {
  const bytes = await spool.blobDocument(digest);
  return { bytes, document: parseManifest(bytes.toString("utf8"), `a manifest in ${what}`) };
}

/** The manifest for the host; undefined when an index has none. */
async function hostsManifest(
  spool: Spool,
  { bytes, document }: LayoutDocument,
  what: string,
): Promise<{ readonly bytes: Buffer; readonly document: ImageManifest } | undefined> {
  if (document.kind === "manifest") return { bytes, document };
  const chosen = choosePlatform(document.manifests, hostPlatform());
  if (chosen === undefined) return undefined;
  const inner = await documentOf(spool, chosen.digest, what);
  if (inner.document.kind === "manifest") return { bytes: inner.bytes, document: inner.document };
  throw new HullError("unsupported", {
    what: "an index in an index",
    where: ` in ${what}`,
    why: "make it flat",
  });
}

/** Everything that a digest leads to. Blobs are held against their digests. */
async function wholeOf(spool: Spool, top: Digest, what: string): Promise<LayoutItem["whole"]> {
  const sizes = new Map<Digest, number>();
  const visit = async (digest: Digest, depth: number): Promise<boolean> => {
    if (sizes.has(digest)) return true;
    if (!spool.hasBlob(digest)) return false;
    if (depth > maxDepth || sizes.size > maxParts)
      throw new HullError("tooLarge", { what, value: "its number of parts", limit: maxParts });
    const { bytes, document } = await documentOf(spool, digest, what);
    sizes.set(digest, bytes.length);
    const parts = document.kind === "index" ? document.manifests : [document.config, ...document.layers];
    for (const part of parts) {
      if (document.kind === "index") {
        if (!(await visit(part.digest, depth + 1))) return false;
      } else {
        if (!spool.hasBlob(part.digest)) return false;
        sizes.set(part.digest, spool.blob(part.digest).file.out.position);
      }
    }
    return true;
  };
  if (!(await visit(top, 0))) return undefined;
  return { digests: [...sizes.keys()], bytes: [...sizes.values()].reduce((sum, size) => sum + size, 0) };
}

/** A bare tag (`latest`) says nothing about the image's name, so the image stays without. */
function nameOf(descriptor: Descriptor): NamedReference | undefined {
  for (const key of nameAnnotations) {
    const text = descriptor.annotations[key];
    if (text !== undefined && /[/:]/.test(text)) return namedReference(text);
  }
  return undefined;
}

export function namedReference(text: string): NamedReference {
  const reference = parseReference(text);
  return { canonical: canonicalName(reference), tag: reference.tag ?? "latest" };
}
