/** The layers of an image: fetched, hashed, stored and turned into EROFS while they arrive, several at a time. */
import { HullError } from "../../contract/errors.ts";
import { naming } from "../content/naming.ts";
import type { Digest, ProgressEvent } from "../image-store.ts";
import { ingestLayer, type LayerRecord } from "../layer/ingest.ts";
import type { Descriptor } from "../manifest.ts";
import type { ImageRecords } from "../records.ts";
import type { RegistryClient } from "./client.ts";
import { byteReporter, type RegistryContext, shortDigest } from "./context.ts";
import { download } from "./download.ts";
import { pastMirrors } from "./fallback.ts";

export interface LayersToFetch {
  readonly client: RegistryClient;
  /** The image, for messages. */
  readonly name: string;
  readonly descriptors: readonly Descriptor[];
  readonly diffIds: readonly Digest[];
  readonly onProgress: (event: ProgressEvent) => void;
  /** Ends everything that goes on for this pull. */
  readonly abort: (reason: unknown) => void;
}

/** Throws `corrupt`, `digestMismatch`, `noSpace`, and as `download` does; then nothing goes on any more. */
export async function fetchLayers(context: RegistryContext, layers: LayersToFetch): Promise<LayerRecord[]> {
  const { client, name, descriptors, diffIds, onProgress } = layers;
  if (descriptors.length !== diffIds.length)
    throw new HullError("corrupt", {
      what: `the image ${name}`,
      why: `its manifest has ${descriptors.length} layers, but its config has ${diffIds.length}`,
    });
  for (const { digest } of descriptors) onProgress({ status: "Pulling fs layer", id: shortDigest(digest) });
  // Before it is looked at what is here: that stays from now on.
  context.content.hold(...diffIds, ...descriptors.map(({ digest }) => digest));
  const known = knownLayers(context.records);
  const begin = (index: number, descriptor: Descriptor): Promise<LayerRecord> =>
    fetchOne(context, layers, descriptor, diffIds[index], known).catch((error: unknown) => {
      layers.abort(error);
      throw error;
    });
  const begun: Promise<LayerRecord>[] = [];
  // The largest first: none of them is left over for one processor in the end.
  for (const [index, descriptor] of [...descriptors.entries()].sort(([, a], [, b]) => b.size - a.size))
    begun[index] = begin(index, descriptor);
  // All have ended, one way or the other, before this returns: nothing is written behind the caller's back.
  const results = await Promise.allSettled(begun);
  return results.map((result) => {
    if (result.status === "rejected") throw client.signal.reason ?? result.reason;
    return result.value;
  });
}

async function fetchOne(
  context: RegistryContext,
  { client, name, onProgress }: LayersToFetch,
  descriptor: Descriptor,
  diffId: Digest | undefined,
  known: ReadonlyMap<Digest, LayerRecord>,
): Promise<LayerRecord> {
  const id = shortDigest(descriptor.digest);
  const what = `layer ${id} of ${name}`;
  const here = known.get(descriptor.digest) ?? context.fetched.get(descriptor.digest);
  if (here !== undefined && here.diffId === diffId) {
    onProgress({ status: "Already exists", id });
    return here;
  }
  const fetched = await context.layers.join(descriptor.digest, client.signal, onProgress, (signal, emit) => {
    emit({ status: "Waiting", id });
    return context.places.take(signal, () =>
      fetchLayer(context, client, descriptor, { what, diffId, signal, emit }),
    );
  });
  if (fetched.diffId !== diffId)
    throw new HullError("digestMismatch", { what, expected: diffId ?? "", actual: fetched.diffId });
  onProgress({ status: "Pull complete", id });
  return fetched;
}

async function fetchLayer(
  context: RegistryContext,
  client: RegistryClient,
  descriptor: Descriptor,
  how: {
    readonly what: string;
    readonly diffId: Digest | undefined;
    readonly signal: AbortSignal;
    readonly emit: (event: ProgressEvent) => void;
  },
): Promise<LayerRecord> {
  const { what, diffId, signal, emit } = how;
  const id = shortDigest(descriptor.digest);
  const onWait = (seconds: number): void => emit({ status: `Retrying in ${seconds} seconds`, id });
  const attempt = (passed: number): Promise<LayerRecord> =>
    ingestLayer(context.content, download(client, descriptor, { what, signal, onWait, passed }), {
      what,
      expectedBlob: descriptor.digest,
      ...(diffId === undefined ? {} : { expectedDiffId: diffId }),
      ...layerReporter(id, descriptor.size, emit),
    });
  try {
    const layer = await pastMirrors(client, attempt);
    emit({ status: "Extracting", id, progressDetail: { current: descriptor.size, total: descriptor.size } });
    context.fetched.set(descriptor.digest, layer);
    return layer;
  } catch (error) {
    throw naming(what, error);
  }
}

/** The bars of one layer, one after the other. */
function layerReporter(id: string, total: number, emit: (event: ProgressEvent) => void) {
  const report = byteReporter("Downloading", id, total, emit);
  let current = 0;
  let arrived = false;
  let taken = 0;
  const extracting = (): void =>
    emit({ status: "Extracting", id, progressDetail: { current: taken, total } });
  return {
    onBytes: (bytes: number): void => {
      report(bytes);
      current += bytes;
      if (current === total) emit({ status: "Verifying Checksum", id });
    },
    onArrived: (): void => {
      emit({ status: "Download complete", id });
      arrived = true;
      extracting();
    },
    onTaken: (bytes: number): void => {
      taken = bytes;
      // It goes on while the layer still arrives, whose bar is the one to show then.
      if (arrived) extracting();
    },
  };
}

/** Layers of images that are here, by the digest of the blob. */
function knownLayers(records: ImageRecords): Map<Digest, LayerRecord> {
  const known = new Map<Digest, LayerRecord>();
  for (const image of records.all()) for (const layer of image.layers) known.set(layer.blob, layer);
  return known;
}
