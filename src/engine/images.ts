/** Commands on images: the image store's, with events, and with workloads counted as users. */
import type {
  Digest,
  Image,
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
} from "../image/image-store.ts";
import type { EngineContext } from "./context.ts";
import { shortId } from "./names.ts";

export class Images {
  readonly #context: EngineContext;

  constructor(context: EngineContext) {
    this.#context = context;
  }

  resolve(reference: string): Promise<Image> {
    return this.#context.images.resolve(reference);
  }

  list(): Promise<Image[]> {
    return this.#context.images.list();
  }

  async pull(reference: string, options: PullOptions): Promise<Image> {
    const image = await this.#context.images.pull(reference, options);
    this.#emit("pull", reference, image.config.labels);
    return image;
  }

  async pullAll(repository: string, options: PullOptions): Promise<Image[]> {
    const images = await this.#context.images.pullAll(repository, options);
    this.#emit("pull", repository, {});
    return images;
  }

  async push(reference: string, options: PushOptions): Promise<PushedImage> {
    const pushed = await this.#context.images.push(reference, options);
    this.#emit("push", reference, {});
    return pushed;
  }

  async pushAll(repository: string, options: PushOptions): Promise<PushedImage[]> {
    const pushed = await this.#context.images.pushAll(repository, options);
    for (const { tag } of pushed) this.#emit("push", `${repository}:${tag}`, {});
    return pushed;
  }

  login(address: string, auth: RegistryAuth, signal: AbortSignal): Promise<string> {
    return this.#context.images.login(address, auth, signal);
  }

  inspectRemote(
    reference: string,
    options: { readonly auth: RegistryAuth | undefined; readonly signal: AbortSignal },
  ): Promise<RemoteImage> {
    return this.#context.images.inspectRemote(reference, options);
  }

  async importTar(tar: ReadableStream<Uint8Array>, options: ImportOptions): Promise<Image> {
    const image = await this.#context.images.importTar(tar, options);
    this.#emit("import", image.id, {});
    return image;
  }

  usage(): Promise<StoreUsage> {
    return this.#context.images.usage();
  }

  verify(options: VerifyOptions): Promise<boolean> {
    return this.#context.images.verify(options);
  }

  async save(names: readonly string[]): Promise<AsyncGenerator<Uint8Array, void, undefined>> {
    const archive = await this.#context.images.save(names);
    for (const name of names) this.#emit("save", name, {});
    return archive;
  }

  async load(
    archive: ReadableStream<Uint8Array>,
    onProgress: (event: ProgressEvent) => void,
  ): Promise<LoadedImage[]> {
    const images = await this.#context.images.load(archive, onProgress);
    for (const image of images) this.#emit("load", image.id, {});
    return images;
  }

  async tag(image: string, reference: string): Promise<void> {
    await this.#context.images.tag(image, reference);
    this.#emit("tag", reference, {});
  }

  async remove(reference: string, options: { force: boolean }): Promise<RemovedImage[]> {
    const removed = await this.#context.images.remove(reference, {
      force: options.force,
      inUse: (id) => this.userOf(id),
    });
    for (const item of removed)
      if ("untagged" in item) this.#emit("untag", item.untagged, {});
      else this.#emit("delete", item.deleted, {});
    return removed;
  }

  /** The short id of a workload that uses an image. */
  userOf(id: Digest): string | undefined {
    const user = this.#context.workloads.all().find((workload) => workload.record.image === id);
    return user === undefined ? undefined : shortId(user.id);
  }

  #emit(action: string, id: string, labels: Readonly<Record<string, string>>): void {
    this.#context.events.emit("image", action, id, { ...labels, name: id });
  }
}
