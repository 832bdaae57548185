/**
 * What builds ask of the image store: contexts, layers, the cache of steps, and the image at the end.
 *
 * A session lasts as long as a build. What it stores and goes on from is kept from collection until it ends; after
 * that, what neither
 * an image nor the cache has goes. Nothing of a build is an image before `finish`.
 */
import type { Digest, Image } from "../image-store.ts";
import type { LayerRecord } from "../layer/ingest.ts";
import type { ProxySettings } from "../registry/proxy.ts";
import type { CachedStep } from "./cache-records.ts";
import type { BuildContext } from "./context.ts";
import type { StageConfig } from "./stage-config.ts";
import type { ImageTree } from "./tree/image-tree.ts";

/** An image in the making. Never changed: each step makes the next one. */
export interface StageState {
  /** Digest of the config; empty before the first step from scratch. */
  readonly id: Digest | "";
  readonly json: string;
  readonly config: StageConfig;
  /** Bottom first. */
  readonly layers: readonly LayerRecord[];
}

/** What a build takes in before it begins. Nobody waits for it: a client may take as long as it likes to send it. */
export interface BuildInbox {
  /** For what a build fetches itself. */
  readonly proxies: ProxySettings;
  receiveContext(tar: AsyncIterable<Uint8Array>, what: string): Promise<BuildContext>;
  /** A tree of one file. */
  receiveFile(
    name: string,
    bytes: AsyncIterable<Uint8Array>,
    options: { what: string; mode: number; mtimeSeconds: number; limit?: number },
  ): Promise<BuildContext>;
  /** An empty directory that goes when it is disposed of, or with the daemon. */
  directory(): Promise<AsyncDisposable & { readonly path: string }>;
}

export interface BuildStore extends BuildInbox {
  run<T>(work: (session: BuildSession) => Promise<T>): Promise<T>;
  /** Least recently used first. */
  usage(): Promise<CacheUsage[]>;
  /** Forgets steps that `select` chooses, and resolves when what only they had is gone, or is left to work in progress. */
  prune(select: (usage: readonly CacheUsage[]) => readonly string[]): Promise<PrunedCache>;
}

export interface BuildSession extends BuildInbox {
  scratch(): StageState;
  /** The stage that goes on from an image. */
  from(image: Pick<Image, "id">): StageState;
  treeOf(state: StageState): ImageTree;
  addLayer(tar: AsyncIterable<Uint8Array>, what: string): Promise<LayerRecord>;
  /** `layer`: what the step made, if it made any. */
  next(state: StageState, config: StageConfig, created: string, layer: LayerRecord | undefined): StageState;
  /** What the step of this key makes of `parent`, if it was done before. */
  cached(key: string, parent: StageState): Promise<StageState | undefined>;
  /** `state` is what the step has made of `parent`. */
  keep(step: Pick<CachedStep, "key" | "createdBy">, parent: StageState, state: StageState): void;
  /** The state as an image that workloads can start from and nobody sees; it goes when the last of them does. */
  hidden(state: StageState): Promise<Image>;
  finish(state: StageState, references: readonly string[]): Promise<Image>;
}

export interface CacheUsage {
  readonly step: CachedStep;
  /** What the layer that the step made takes on the disk, counted once when several steps made the same. */
  readonly sizeBytes: number;
  /** An image has the layer, too, so forgetting the step frees nothing. */
  readonly shared: boolean;
}

export interface PrunedCache {
  readonly keys: readonly string[];
  readonly bytes: number;
}
