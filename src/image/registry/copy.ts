/**
 * What is kept as it came: artifacts, and indexes with the images of all their platforms. Nothing is looked into
 * beyond manifests and indexes.
 */
import { HullError } from "../../contract/errors.ts";
import type { Digest, ProgressEvent } from "../image-store.ts";
import type { Descriptor } from "../manifest.ts";
import { fetchBlob } from "./blobs.ts";
import type { RegistryClient } from "./client.ts";
import type { RegistryContext } from "./context.ts";
import { type FetchedDocument, fetchNamed } from "./documents.ts";

/** Indexes in indexes. */
const maxDepth = 4;
/** Blobs and documents of one whole. */
const maxParts = 5000;

export interface Copied {
  /** Everything it consists of, itself included. */
  readonly digests: readonly Digest[];
  /** Bytes of all of it. */
  readonly bytes: number;
}

/**
 * Stores a document and all that it names. `abort` ends the other downloads when one fails; when this returns,
 * nothing goes on any more.
 */
export async function copyWhole(
  context: RegistryContext,
  client: RegistryClient,
  top: FetchedDocument,
  name: string,
  onProgress: (event: ProgressEvent) => void,
  abort: (reason: unknown) => void,
): Promise<Copied> {
  const sizes = new Map<Digest, number>();
  const blobs = new Map<Digest, Descriptor>();
  await collect(context, client, top, { name, depth: 0, sizes, blobs });
  const results = await Promise.allSettled(
    [...blobs.values()].map((descriptor) =>
      fetchBlob(context, client, descriptor, name, onProgress).catch((error: unknown) => {
        abort(error);
        throw error;
      }),
    ),
  );
  for (const result of results) if (result.status === "rejected") throw client.signal.reason ?? result.reason;
  for (const { digest, size } of blobs.values()) sizes.set(digest, size);
  return { digests: [...sizes.keys()], bytes: [...sizes.values()].reduce((sum, size) => sum + size, 0) };
}

async function collect(
  context: RegistryContext,
  client: RegistryClient,
  { document, digest, bytes }: FetchedDocument,
  so: {
    readonly name: string;
    readonly depth: number;
    readonly sizes: Map<Digest, number>;
    readonly blobs: Map<Digest, Descriptor>;
  },
): Promise<void> {
  if (so.sizes.has(digest)) return;
  if (so.depth > maxDepth)
    throw new HullError("tooLarge", { what: so.name, value: "indexes in indexes", limit: maxDepth });
  so.sizes.set(digest, bytes.length);
  await context.content.putBlob(bytes);
  if (document.kind === "index") {
    for (const descriptor of document.manifests)
      await collect(context, client, await fetchNamed(client, descriptor), { ...so, depth: so.depth + 1 });
  } else
    for (const descriptor of [document.config, ...document.layers])
      so.blobs.set(descriptor.digest, descriptor);
  if (so.sizes.size + so.blobs.size > maxParts)
    throw new HullError("tooLarge", { what: so.name, value: "its number of parts", limit: maxParts });
}
