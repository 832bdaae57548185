/** Builds' part of the image store on disk. */
import * as v from "valibot";
import type { Collector } from "../collector.ts";
import type { ContentStore } from "../content/content-store.ts";
import { digestOf } from "../content/content-store.ts";
import { naming } from "../content/naming.ts";
import type { Digest, Image } from "../image-store.ts";
import { tagReference } from "../import.ts";
import { ingestLayer, type LayerRecord } from "../layer/ingest.ts";
import type { ImageRecord, ImageRecords } from "../records.ts";
import { prepareImage } from "../registration.ts";
import type { ProxySettings } from "../registry/proxy.ts";
import { bytesOnDisk } from "../usage.ts";
import type {
  BuildInbox,
  BuildSession,
  BuildStore,
  CacheUsage,
  PrunedCache,
  StageState,
} from "./build-store.ts";
import type { CachedStep } from "./cache-records.ts";
import { BuildContext } from "./context.ts";
import { applyDelta, deltaOf, type Json } from "./json-delta.ts";
import { checkStageSize, emptyStage, formatStage, parseStage, type StageConfig } from "./stage-config.ts";
import { openImageTree } from "./tree/image-tree.ts";

interface Parts {
  readonly content: ContentStore;
  readonly records: ImageRecords;
  readonly collector: Collector;
  readonly proxies: ProxySettings;
  readonly imageOf: (record: ImageRecord) => Image;
}

class DiskBuildInbox implements BuildInbox {
  readonly #content: ContentStore;
  readonly proxies: ProxySettings;

  constructor({ content, proxies }: Parts) {
    this.#content = content;
    this.proxies = proxies;
  }

  receiveContext(tar: AsyncIterable<Uint8Array>, what: string): Promise<BuildContext> {
    return BuildContext.receive(this.#content, tar, what);
  }

  receiveFile(
    name: string,
    bytes: AsyncIterable<Uint8Array>,
    options: { what: string; mode: number; mtimeSeconds: number; limit?: number },
  ): Promise<BuildContext> {
    return BuildContext.ofFile(this.#content, name, bytes, options);
  }

  directory() {
    return this.#content.temporaryDirectory();
  }
}

export class DiskBuildStore extends DiskBuildInbox implements BuildStore {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    super(parts);
    this.#parts = parts;
  }

  run<T>(work: (session: BuildSession) => Promise<T>): Promise<T> {
    return this.#parts.collector.run((content) => work(new DiskBuildSession({ ...this.#parts, content })));
  }

  async usage(): Promise<CacheUsage[]> {
    const { records } = this.#parts;
    const ofImages = new Set(records.all().flatMap((image) => image.layers.map((layer) => layer.diffId)));
    const counted = new Set<Digest>();
    const usage: CacheUsage[] = [];
    for (const step of records.buildCache.all()) {
      const own = step.layer;
      const first = own !== undefined && !counted.has(own.diffId);
      if (own !== undefined) counted.add(own.diffId);
      usage.push({
        step,
        sizeBytes: first ? await this.#bytesOf(own) : 0,
        shared: own !== undefined && ofImages.has(own.diffId),
      });
    }
    return usage;
  }

  async prune(select: (usage: readonly CacheUsage[]) => readonly string[]): Promise<PrunedCache> {
    const { records, collector } = this.#parts;
    const before = await this.usage();
    const keys = new Set(select(before));
    records.transaction(() => {
      for (const key of keys) records.buildCache.delete(key);
    });
    const left = new Set(records.buildCache.layers().map((layer) => layer.diffId));
    const freed = new Map<Digest, number>();
    for (const { step, shared } of before) {
      const own = step.layer;
      if (own === undefined || !keys.has(step.key) || shared || left.has(own.diffId)) continue;
      freed.set(own.diffId, await this.#bytesOf(own));
    }
    if (keys.size > 0) await collector.request();
    return { keys: [...keys], bytes: [...freed.values()].reduce((sum, bytes) => sum + bytes, 0) };
  }

  async #bytesOf(layer: LayerRecord): Promise<number> {
    const { content } = this.#parts;
    return (
      (await bytesOnDisk(content.layerPath(layer.diffId))) + (await bytesOnDisk(content.blobPath(layer.blob)))
    );
  }
}

class DiskBuildSession extends DiskBuildInbox implements BuildSession {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    super(parts);
    this.#parts = parts;
  }

  scratch(): StageState {
    return { id: "", json: "", config: emptyStage(), layers: [] };
  }

  from(image: Pick<Image, "id">): StageState {
    const record = this.#parts.records.get(image.id);
    if (record === undefined) throw new Error(`the image ${image.id} went away`);
    holdLayers(this.#parts.content, record.layers);
    return stateOf(image.id, record.config, record.layers);
  }

  treeOf(state: StageState) {
    return openImageTree(state.layers.map((layer) => this.#parts.content.layerPath(layer.diffId)));
  }

  async addLayer(tar: AsyncIterable<Uint8Array>, what: string): Promise<LayerRecord> {
    try {
      return await ingestLayer(this.#parts.content, tar, { what });
    } catch (error) {
      throw naming(what, error);
    }
  }

  next(state: StageState, config: StageConfig, created: string, layer: LayerRecord | undefined): StageState {
    const layers = layer === undefined ? state.layers : [...state.layers, layer];
    const json = formatStage(
      config,
      created,
      layers.map(({ diffId }) => diffId),
    );
    checkStageSize(json);
    return { id: digestOf(Buffer.from(json)), json, config, layers };
  }

  /** A step whose layer is not on disk any more is as good as unknown. */
  async cached(key: string, parent: StageState): Promise<StageState | undefined> {
    const { records, content } = this.#parts;
    const step = records.buildCache.get(key);
    if (step === undefined) return undefined;
    const { layer } = step;
    const gone =
      layer !== undefined &&
      ((await content.layerSize(layer.diffId)) === undefined ||
        (await content.blobSize(layer.blob)) === undefined);
    const state = gone ? undefined : stateAfter(parent, step);
    if (state === undefined) records.buildCache.delete(key);
    else records.buildCache.use(key);
    return state;
  }

  keep(
    { key, createdBy }: Pick<CachedStep, "key" | "createdBy">,
    parent: StageState,
    state: StageState,
  ): void {
    if (state.id === "") return;
    this.#parts.records.buildCache.put({
      key,
      id: state.id,
      parent: parent.id,
      createdBy,
      delta: deltaOf(documentOf(parent), documentOf(state)),
      layer: state.layers.length > parent.layers.length ? state.layers.at(-1) : undefined,
    });
  }

  async hidden(state: StageState): Promise<Image> {
    const { records, content } = this.#parts;
    // An image that is there already is used as it is.
    if (state.id === "" || records.get(state.id) === undefined) {
      const made =
        state.id === "" ? this.next(state, state.config, "1970-01-01T00:00:00Z", undefined) : state;
      const prepared = await prepareImage(content, records, {
        config: Buffer.from(made.json),
        manifest: undefined,
        layers: made.layers,
        references: [],
        digests: [],
      });
      await content.settle();
      records.transaction(() => {
        if (records.get(prepared.id) !== undefined) return;
        prepared.record();
        records.hide(prepared.id);
        // Nobody has leased it yet.
        content.hold(prepared.id);
      });
      return this.#image(prepared.id);
    }
    return this.#image(state.id);
  }

  async finish(state: StageState, references: readonly string[]): Promise<Image> {
    const { records, content } = this.#parts;
    const prepared = await prepareImage(content, records, {
      config: Buffer.from(state.json),
      manifest: undefined,
      layers: state.layers,
      references: references.map(tagReference),
      digests: [],
    });
    await content.settle();
    records.transaction(prepared.record);
    return this.#image(prepared.id);
  }

  #image(id: Digest): Image {
    const record = this.#parts.records.get(id);
    if (record === undefined) throw new Error(`the image ${id} went away`);
    return this.#parts.imageOf(record);
  }
}

function holdLayers(content: ContentStore, layers: readonly LayerRecord[]): void {
  for (const layer of layers) content.hold(layer.diffId, layer.blob);
}

function documentOf({ json }: StageState): Json {
  // Whatever JSON.parse gives is of this type.
  const document: Json = JSON.parse(json === "" ? "{}" : json);
  return document;
}

/** Undefined when the step was another's: its id tells. */
function stateAfter(parent: StageState, { id, delta, layer }: CachedStep): StageState | undefined {
  const layers = layer === undefined ? parent.layers : [...parent.layers, layer];
  try {
    const told = JSON.stringify(applyDelta(documentOf(parent), delta));
    const { config } = stateOf(id, told, layers);
    const { created } = v.parse(v.object({ created: v.string() }), JSON.parse(told));
    // Members are in their order again.
    const json = formatStage(
      config,
      created,
      layers.map(({ diffId }) => diffId),
    );
    return digestOf(Buffer.from(json)) === id ? { id, json, config, layers } : undefined;
  } catch {
    return undefined;
  }
}

function stateOf(id: Digest, json: string, layers: readonly LayerRecord[]): StageState {
  return { id, json, config: parseStage(json, `the image config ${id}`), layers };
}
