/** An image store in memory with one image, for the tests of the engine and the API. */

import { HullError } from "../../contract/errors.ts";
import type { BuildStore } from "../../image/build/build-store.ts";
import { emptyRun } from "../../image/config.ts";
import type {
  Digest,
  Image,
  ImageConfig,
  ImageStore,
  LoadedImage,
  PullOptions,
  PushedImage,
  RemoteImage,
} from "../../image/image-store.ts";
import { noProxies } from "../../image/registry/proxy.ts";

const digest = (digit: string): Digest => `sha256:${digit.repeat(64)}`;

export const emptyConfig: ImageConfig = {
  architecture: "amd64",
  os: "linux",
  created: "2026-01-02T03:04:05Z",
  ...emptyRun,
  history: [],
};

export function imageWith(config: Partial<ImageConfig> = {}): Image {
  return {
    id: digest("a"),
    references: ["some/image:latest"],
    digests: [],
    config: { ...emptyConfig, ...config },
    layers: [{ diffId: digest("b"), path: "/layers/b.erofs", sizeBytes: 4096 }],
    sizeBytes: 4096,
  };
}

/** Builds are tried with the real store: this one has none. */
const buildsNothing = () => Promise.reject(new Error("the fake image store builds nothing"));
export const noBuilds: BuildStore = {
  proxies: noProxies,
  receiveContext: buildsNothing,
  receiveFile: buildsNothing,
  directory: buildsNothing,
  run: buildsNothing,
  usage: () => Promise.resolve([]),
  prune: () => Promise.resolve({ keys: [], bytes: 0 }),
};

export class FakeImages implements ImageStore {
  readonly image: Image;
  /** Leases that are held. */
  leases = 0;

  constructor(image: Image = imageWith({ env: ["FROM=image"], cmd: ["echo", "image command"] })) {
    this.image = image;
  }

  async usage() {
    const own = { bytes: this.image.sizeBytes, sharedBytes: 0 };
    return { totalBytes: own.bytes, images: new Map([[this.image.id, own]]) };
  }

  verify(): Promise<boolean> {
    return Promise.resolve(true);
  }

  save(): Promise<never> {
    return Promise.reject(new Error("the fake image store saves nothing"));
  }

  resolve(reference: string): Promise<Image> {
    const { image } = this;
    const known = ["some/image", ...image.references, image.id, image.id.slice(7, 19)].includes(reference);
    return known ? Promise.resolve(image) : Promise.reject(new HullError("noSuchImage", { name: reference }));
  }

  list(): Promise<Image[]> {
    return Promise.resolve([this.image]);
  }

  async pull(reference: string, { onProgress }: PullOptions): Promise<Image> {
    const image = await this.resolve(reference.replace(/:latest$/, ""));
    onProgress({ status: "Pulling from some/image", id: "latest" });
    return image;
  }

  async pullAll(): Promise<Image[]> {
    return [this.image];
  }

  async push(): Promise<PushedImage> {
    return { tag: "latest", digest: this.image.id, size: 0 };
  }

  async pushAll(): Promise<PushedImage[]> {
    return [await this.push()];
  }

  async login(): Promise<string> {
    return "";
  }

  async inspectRemote(): Promise<RemoteImage> {
    return { digest: this.image.id, mediaType: "", size: 0, platforms: [] };
  }

  async importTar(tar: ReadableStream<Uint8Array>): Promise<Image> {
    await new Response(tar).bytes();
    return this.image;
  }

  async load(archive: ReadableStream<Uint8Array>): Promise<LoadedImage[]> {
    await new Response(archive).bytes();
    return [{ ...this.image, loadedAs: this.image.references }];
  }

  tag(): Promise<void> {
    return Promise.resolve();
  }

  /** Somebody else has removed the image. */
  gone = false;

  async remove(reference: string, options: { inUse: (id: Digest) => string | undefined }) {
    if (this.gone) throw new HullError("noSuchImage", { name: reference });
    const user = options.inUse(this.image.id);
    if (user !== undefined) throw new HullError("imageInUse", { name: reference, id: user });
    return [{ untagged: reference }];
  }

  lease(): Disposable {
    this.leases++;
    return {
      [Symbol.dispose]: () => {
        this.leases--;
      },
    };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
