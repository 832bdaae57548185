/** What pulls and pushes work with. */
import type { ContentStore } from "../content/content-store.ts";
import type { Digest, ProgressEvent } from "../image-store.ts";
import type { LayerRecord } from "../layer/ingest.ts";
import type { ImageRecords } from "../records.ts";
import { Places } from "./places.ts";
import type { RegistrySettings } from "./settings.ts";
import { SharedWork } from "./shared-work.ts";

export interface RegistryContext {
  readonly content: ContentStore;
  readonly records: ImageRecords;
  readonly settings: RegistrySettings;
  /** Bounds the downloads of all pulls. */
  readonly places: Places;
  /** Layers on their way, by the digest of the blob. */
  readonly layers: SharedWork<LayerRecord, ProgressEvent>;
  /**
   * Layers that came and were not collected since, by the digest of the blob: no image may have them yet, and a pull
   * that comes later than the one that fetched them needs them all the same.
   */
  readonly fetched: Map<Digest, LayerRecord>;
  /** Layers that are compressed to be pushed, by their diff id. */
  readonly packing: SharedWork<LayerRecord, ProgressEvent>;
  /** Blobs that are only stored. */
  readonly blobs: SharedWork<void, ProgressEvent>;
}

export function registryContext(
  content: ContentStore,
  records: ImageRecords,
  settings: RegistrySettings,
): RegistryContext {
  return {
    content,
    records,
    settings,
    places: new Places(settings.downloads),
    layers: new SharedWork(),
    fetched: new Map(),
    packing: new SharedWork(),
    blobs: new SharedWork(),
  };
}

/** Milliseconds between two reports about one blob. */
const reportInterval = 100;

/** Reports bytes as they come or go, not more often than people can read. */
export function byteReporter(
  status: string,
  id: string,
  total: number,
  emit: (event: ProgressEvent) => void,
): (bytes: number) => void {
  let current = 0;
  let reported = 0;
  return (bytes) => {
    current += bytes;
    const now = performance.now();
    if (current < total && now < reported + reportInterval) return;
    reported = now;
    emit({ status, id, progressDetail: { current, total } });
  };
}

/** The twelve digits that people see of a digest. */
export function shortDigest(digest: Digest): string {
  return digest.slice("sha256:".length, "sha256:".length + 12);
}
