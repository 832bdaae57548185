/** The image store on disk: records in ROOT/images.db, blobs and layers as content/content-store.ts lays them out. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { tinyImage } from "../contract/defaults.ts";
import { HullError, messageOf } from "../contract/errors.ts";
import { loadArchive, receiveArchive } from "./archive/load.ts";
import { disposedAfter, planSave, saveArchive } from "./archive/save.ts";
import type { BuildStore } from "./build/build-store.ts";
import { DiskBuildStore } from "./build/disk-build-store.ts";
import { Collector } from "./collector.ts";
import { formatConfig, parseConfig } from "./config.ts";
import { ContentStore, type Sweep } from "./content/content-store.ts";
import { findImage } from "./find.ts";
import type {
  Digest,
  Image,
  ImageStore,
  ImportOptions,
  LoadedImage,
  ProgressEvent,
  PullOptions,
  PushedImage,
  PushOptions,
  RegistryAuth,
  RemoteImage,
  RemovedImage,
  StoreUsage,
  VerifyOptions,
} from "./image-store.ts";
import { importTar, tagReference } from "./import.ts";
import { ingestLayer } from "./layer/ingest.ts";
import { neededParts } from "./parts.ts";
import { hostPlatform } from "./platform.ts";
import { type ImageRecord, ImageRecords } from "./records.ts";
import { canonicalName, familiarName, parseReference } from "./reference.ts";
import { registerImage } from "./registration.ts";
import { RegistryCommands } from "./registry/commands.ts";
import { type RegistryContext, registryContext } from "./registry/context.ts";
import { defaultRegistrySettings, type RegistrySettings } from "./registry/settings.ts";
import { removeImage } from "./remove.ts";
import { writeTar } from "./tar/writer.ts";
import { makeTiny, tinyReference } from "./tiny.ts";
import { storeUsage } from "./usage.ts";
import { verifyStore } from "./verify.ts";

/** The image store, and what builds need of it. */
export interface ImageStoreWithBuilds extends ImageStore {
  readonly builds: BuildStore;
  /** Has `forget` called with layers that are no more: whoever has them open keeps their space on the disk. */
  whenLayersGo(forget: (paths: readonly string[]) => Promise<void>): void;
}

/** Opens the store under `root`, making it when there is none. One process at a time; the caller holds the lock. */
export async function openImageStore(
  root: string,
  settings: RegistrySettings = defaultRegistrySettings,
): Promise<ImageStoreWithBuilds> {
  try {
    await mkdir(root, { recursive: true });
  } catch (error) {
    throw new HullError("notWritable", { path: root, why: messageOf(error) }, { cause: error });
  }
  const content = await ContentStore.open(root);
  const store = new DiskImageStore(content, new ImageRecords(join(root, "images.db")), settings);
  await store.collect().removed;
  return store;
}

class DiskImageStore implements ImageStoreWithBuilds {
  readonly builds: BuildStore;
  readonly #content: ContentStore;
  readonly #records: ImageRecords;
  readonly #collector: Collector;
  readonly #leases = new Map<Digest, number>();
  readonly #context: RegistryContext;
  readonly #registry: RegistryCommands;
  #closed = false;
  #makingTiny: Promise<void> | undefined;
  #forget: (paths: readonly string[]) => Promise<void> = () => Promise.resolve();
  /** Hidden images may belong to workloads that were not looked at yet, until something was leased or removed. */
  #leasesKnown = false;

  constructor(content: ContentStore, records: ImageRecords, settings: RegistrySettings) {
    this.#content = content;
    this.#records = records;
    this.#collector = new Collector(content, () => this.collect());
    this.#context = registryContext(content, records, settings);
    this.#registry = new RegistryCommands(this.#context, this.#collector);
    this.builds = new DiskBuildStore({
      content,
      records,
      collector: this.#collector,
      proxies: settings.proxies,
      imageOf: (record) => this.#imageOf(record),
    });
  }

  async resolve(reference: string): Promise<Image> {
    await this.#ensureTiny(reference);
    return this.#image(findImage(this.#records, reference).id);
  }

  async list(): Promise<Image[]> {
    return this.#records
      .all()
      .filter((record) => !record.hidden)
      .map((record) => this.#imageOf(record));
  }

  async pull(reference: string, options: PullOptions): Promise<Image> {
    if (isTiny(reference)) return this.#pullTiny(reference, options);
    return this.#image(await this.#registry.pull(reference, options));
  }

  async pullAll(repository: string, options: PullOptions): Promise<Image[]> {
    const ids = await this.#registry.pullAll(repository, options);
    return [...new Set(ids)].map((id) => this.#image(id));
  }

  async push(reference: string, options: PushOptions): Promise<PushedImage> {
    await this.#ensureTiny(reference);
    return this.#registry.push(reference, options);
  }

  pushAll(repository: string, options: PushOptions): Promise<PushedImage[]> {
    return this.#registry.pushAll(repository, options);
  }

  login(address: string, auth: RegistryAuth, signal: AbortSignal): Promise<string> {
    return this.#registry.login(address, auth, signal);
  }

  inspectRemote(
    reference: string,
    options: { readonly auth?: RegistryAuth | undefined; readonly signal: AbortSignal },
  ): Promise<RemoteImage> {
    return this.#registry.inspectRemote(reference, options);
  }

  /** The embedded image comes from no registry. */
  async #pullTiny(reference: string, { onProgress }: PullOptions): Promise<Image> {
    const image = await this.resolve(reference);
    onProgress({ status: `Status: Image is up to date for ${tinyReference}` });
    return image;
  }

  async importTar(tar: ReadableStream<Uint8Array>, options: ImportOptions): Promise<Image> {
    const id = await this.#collector.run((content) => importTar(content, this.#records, tar, options));
    return this.#image(id);
  }

  async load(
    archive: ReadableStream<Uint8Array>,
    onProgress: (event: ProgressEvent) => void,
  ): Promise<LoadedImage[]> {
    await using spool = await receiveArchive(this.#content, archive);
    const loaded = await this.#collector.run((content) =>
      loadArchive(content, this.#records, spool, onProgress),
    );
    return [...loaded].map(([id, names]) => ({
      ...this.#image(id),
      loadedAs: [...new Set(names.map(({ canonical, tag }) => `${familiarName(canonical)}:${tag}`))],
    }));
  }

  async save(names: readonly string[]): Promise<AsyncGenerator<Uint8Array, void, undefined>> {
    for (const name of names) await this.#ensureTiny(name);
    await using held = new AsyncDisposableStack();
    const { content } = held.use(this.#collector.enter());
    const plan = await planSave(content, this.#records, names);
    const kept = held.move();
    return disposedAfter(kept, saveArchive(content, plan));
  }

  usage(): Promise<StoreUsage> {
    return storeUsage(this.#content, this.#records);
  }

  verify(options: VerifyOptions): Promise<boolean> {
    return this.#collector.run((content) => verifyStore({ ...this.#context, content }, options));
  }

  async tag(image: string, reference: string): Promise<void> {
    const named = tagReference(reference);
    await this.#ensureTiny(image);
    const { id, by } = findImage(this.#records, image);
    const target = by === "id" ? undefined : "tag" in by ? this.#records.targetOf(by.tag) : by.digest.digest;
    this.#records.setTag(named, id, target);
  }

  async remove(
    reference: string,
    options: { force: boolean; inUse: (id: Digest) => string | undefined },
  ): Promise<RemovedImage[]> {
    const removed = removeImage(this.#records, reference, {
      ...options,
      leased: (id) => this.#leases.has(id),
    });
    if (removed.some((item) => "deleted" in item)) await this.#collector.request();
    return removed;
  }

  lease(id: Digest): Disposable {
    if (this.#records.get(id) === undefined) throw new HullError("noSuchImage", { name: id });
    this.#leasesKnown = true;
    this.#leases.set(id, (this.#leases.get(id) ?? 0) + 1);
    let released = false;
    return {
      [Symbol.dispose]: () => {
        if (released) return;
        released = true;
        const left = (this.#leases.get(id) ?? 1) - 1;
        if (left > 0) this.#leases.set(id, left);
        else this.#leases.delete(id);
        if (this.#closed || left > 0 || this.#records.get(id)?.hidden !== true) return;
        // What could not be removed now is found by the next collection.
        this.#collector.request().catch(() => undefined);
      },
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#collector.close();
    this.#records[Symbol.dispose]();
  }

  /** Removes what no image needs and no work holds, in one turn. */
  collect(): Sweep {
    let spared = false;
    const goes = (id: Digest): boolean => {
      if (!this.#leasesKnown || this.#leases.has(id)) return false;
      const held = this.#content.isHeld(id);
      spared ||= held;
      return !held;
    };
    const { blobs, layers } = neededParts(this.#records, goes);
    const { fetched } = this.#context;
    for (const [blob, { diffId }] of fetched) {
      const stays = (needed: ReadonlySet<Digest>, digest: Digest) =>
        needed.has(digest) || this.#content.isHeld(digest);
      if (!stays(blobs, blob) || !stays(layers, diffId)) fetched.delete(blob);
    }
    const swept = this.#content.sweep(blobs, layers);
    const forgotten = swept.layers.length === 0 ? undefined : this.#forget(swept.layers);
    const removed = Promise.all([swept.removed, forgotten]).then(() => undefined);
    return { ...swept, spared: spared || swept.spared, removed };
  }

  whenLayersGo(forget: (paths: readonly string[]) => Promise<void>): void {
    this.#forget = forget;
  }

  #image(id: Digest): Image {
    const record = this.#records.get(id);
    if (record === undefined) throw new HullError("noSuchImage", { name: id });
    return this.#imageOf(record);
  }

  #imageOf(record: ImageRecord): Image {
    const layers = record.layers.map((layer) => ({
      diffId: layer.diffId,
      path: this.#content.layerPath(layer.diffId),
      sizeBytes: layer.layerBytes,
    }));
    return {
      id: record.id,
      references: this.#records.tagsOf(record.id).map((tag) => `${familiarName(tag.canonical)}:${tag.tag}`),
      digests: this.#records
        .digestsOf(record.id)
        .map((named) => `${familiarName(named.canonical)}@${named.digest}`),
      config: parseConfig(record.config, `the image config ${record.id}`).config,
      layers,
      sizeBytes: record.artifact?.bytes ?? layers.reduce((sum, layer) => sum + layer.sizeBytes, 0),
      ...(record.artifact === undefined ? {} : { artifactType: record.artifact.type }),
    };
  }

  /** Makes the embedded image when it is asked for by name and is not there. */
  async #ensureTiny(text: string): Promise<void> {
    if (
      !text.includes(tinyImage) ||
      !isTiny(text) ||
      this.#records.byTag(tagReference(tinyReference)) !== undefined
    )
      return;
    this.#makingTiny ??= this.#collector
      .run((content) => this.#makeTiny(content))
      .finally(() => {
        this.#makingTiny = undefined;
      });
    await this.#makingTiny;
  }

  async #makeTiny(content: ContentStore): Promise<void> {
    const { config, members } = await makeTiny();
    async function* tar(): AsyncGenerator<Uint8Array> {
      yield* writeTar(members);
    }
    const layer = await ingestLayer(content, tar(), { what: tinyImage });
    await registerImage(content, this.#records, {
      config: Buffer.from(formatConfig(config, hostPlatform(), [layer.diffId])),
      manifest: undefined,
      layers: [layer],
      references: [tagReference(tinyReference)],
      digests: [],
    });
  }
}

function isTiny(text: string): boolean {
  const reference = parseReference(text);
  const wanted = parseReference(tinyReference);
  return canonicalName(reference) === canonicalName(wanted) && reference.tag === wanted.tag;
}
