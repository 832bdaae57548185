/** Manifests and indexes of a repository: fetched, bounded and checked. */
import { HullError } from "../../contract/errors.ts";
import { digestOf } from "../content/content-store.ts";
import type { Digest } from "../image-store.ts";
import { verifyBytes } from "../layer/ingest.ts";
import { type Descriptor, type ManifestDocument, mediaTypes, parseManifest } from "../manifest.ts";
import { canonicalName, familiarName, type Reference } from "../reference.ts";
import { type RegistryClient, RegistryNotFound } from "./client.ts";
import { pastMirrors } from "./fallback.ts";

/** Bytes of a manifest, an index or a config. Docker's and most registries' own limit is 4 MiB. */
export const maxDocumentBytes = 8 * 1024 * 1024;

const acceptedTypes: readonly string[] = [
  mediaTypes.ociIndex,
  mediaTypes.dockerList,
  mediaTypes.ociManifest,
  mediaTypes.dockerManifest,
];

export interface FetchedDocument {
  readonly digest: Digest;
  readonly bytes: Buffer;
  readonly document: ManifestDocument;
  readonly mediaType: string;
}

/** What a reference names. Throws `manifestUnknown`, `digestMismatch`, `corrupt`, `tooLarge`, and as the client does. */
export async function fetchTop(client: RegistryClient, reference: Reference): Promise<FetchedDocument> {
  const which = reference.digest ?? reference.tag ?? "latest";
  return fetchDocument(client, which, reference.digest, undefined);
}

/** One that an index names. */
export async function fetchNamed(client: RegistryClient, descriptor: Descriptor): Promise<FetchedDocument> {
  return fetchDocument(client, descriptor.digest, descriptor.digest, descriptor.size);
}

async function fetchDocument(
  client: RegistryClient,
  which: string,
  expected: Digest | undefined,
  size: number | undefined,
): Promise<FetchedDocument> {
  const separator = which.includes(":") ? "@" : ":";
  const name = `${familiarName(canonicalName(client))}${separator}${which}`;
  const what = `the manifest of ${name}`;
  if ((size ?? 0) > maxDocumentBytes)
    throw new HullError("tooLarge", { what, value: `${size} bytes`, limit: `${maxDocumentBytes} bytes` });
  const attempt = async (passed: number): Promise<FetchedDocument> => {
    const { bytes, type } = await client.retrying(
      what,
      async () => {
        const reply = await client.readOnce(`manifests/${which}`, { accept: acceptedTypes, passed });
        return { bytes: await reply.bytes(maxDocumentBytes), type: reply.header("content-type") };
      },
      client.signal,
    );
    if (expected !== undefined) verifyBytes(what, expected, bytes);
    if (size !== undefined && size !== bytes.length)
      throw new HullError("corrupt", {
        what,
        why: `it has ${bytes.length} bytes, but its index says ${size}`,
      });
    const document = parseManifest(bytes.toString("utf8"), what);
    return { digest: digestOf(bytes), bytes, document, mediaType: mediaTypeOf(document, type) };
  };
  try {
    return await pastMirrors(client, attempt);
  } catch (error) {
    if (!(error instanceof RegistryNotFound)) throw error;
    throw new HullError("manifestUnknown", { reference: name, why: `: ${error.message}` }, { cause: error });
  }
}

/** What a document says of itself counts; older ones say nothing. */
export function mediaTypeOf(document: ManifestDocument, offered?: string): string {
  if (document.mediaType !== "") return document.mediaType;
  const type = offered?.split(";")[0]?.trim() ?? "";
  if (acceptedTypes.includes(type)) return type;
  return document.kind === "index" ? mediaTypes.ociIndex : mediaTypes.ociManifest;
}
