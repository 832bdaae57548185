/**
 * The contract of the image store: what the rest of Hull may ask of images. See store.ts for the one that
 * keeps them on disk.
 *
 * An image is visible only once all of its blobs and layers are on disk and verified; a failed pull, load or
 * import leaves the store as it was.
 */

/** `sha256:` and 64 lower-case hexadecimal digits. */
export type Digest = `sha256:${string}`;

export interface ImageStore {
  /** By reference (`name[:tag][@digest]`), by id or by an unambiguous prefix of one. Makes `hull/tiny` when it is asked for. Throws `noSuchImage`, `ambiguousName`, `invalidReference`. */
  resolve(reference: string): Promise<Image>;
  list(): Promise<Image[]>;
  /** Pulls one image from a registry; `onProgress` gets Docker's progress events. */
  pull(reference: string, options: PullOptions): Promise<Image>;
  /** Pulls every tag of a repository (`name`, without a tag). */
  pullAll(repository: string, options: PullOptions): Promise<Image[]>;
  /** Pushes a tag, byte for byte as it was pulled or made; `onProgress` gets Docker's progress events. */
  push(reference: string, options: PushOptions): Promise<PushedImage>;
  /** Pushes every tag that is here of a repository (`name`, without a tag). */
  pushAll(repository: string, options: PushOptions): Promise<PushedImage[]>;
  /** Checks credentials with a registry (its host, or an address of Docker's). Returns an identity token to be kept in place of the password; empty: there is none. Throws `unauthorized`, `registry`. */
  login(address: string, auth: RegistryAuth, signal: AbortSignal): Promise<string>;
  /** What a registry has under a name. */
  inspectRemote(
    reference: string,
    options: { readonly auth?: RegistryAuth | undefined; readonly signal: AbortSignal },
  ): Promise<RemoteImage>;
  /** A root file system as one tar (plain, gzip, xz or zstd) becomes a one-layer image. */
  importTar(tar: ReadableStream<Uint8Array>, options: ImportOptions): Promise<Image>;
  /**
   * Images as one archive, which is an OCI layout and Docker's format at once. Everything is found out before it is
   * returned. What it consists of is kept until it is read to its end, or returned.
   */
  save(names: readonly string[]): Promise<AsyncGenerator<Uint8Array, void, undefined>>;
  /** A `docker save` archive or an OCI layout archive; returns what was loaded. */
  load(
    archive: ReadableStream<Uint8Array>,
    onProgress: (event: ProgressEvent) => void,
  ): Promise<LoadedImage[]>;
  /** What images take on the disk. */
  usage(): Promise<StoreUsage>;
  /** Looks through all that is stored, and mends what it can; resolves to whether everything is whole. */
  verify(options: VerifyOptions): Promise<boolean>;
  /** Gives an image one more reference; a reference that another image had moves. */
  tag(image: string, reference: string): Promise<void>;
  /** Removes a reference, and the image when it was the last one. `inUse` names ids of images that workloads use. */
  remove(
    reference: string,
    options: { force: boolean; inUse: (id: Digest) => string | undefined },
  ): Promise<RemovedImage[]>;
  /** Keeps an image's layers on disk until released, whatever `remove` does. */
  lease(id: Digest): Disposable;
  close(): Promise<void>;
}

export interface Image {
  /** Digest of the image's config. */
  readonly id: Digest;
  /** `name:tag`, familiar form (`alpine:latest`, not `docker.io/library/alpine:latest`). */
  readonly references: readonly string[];
  /** `name@sha256:…` of the manifests it was pulled by. */
  readonly digests: readonly string[];
  readonly config: ImageConfig;
  /** Bottom first. */
  readonly layers: readonly LayerFile[];
  /** Bytes of all layers on disk. */
  readonly sizeBytes: number;
  /** What it is when it is no container image and cannot be run: a media type. */
  readonly artifactType?: string;
}

export interface LoadedImage extends Image {
  /** Of its references those that the archive has given it. */
  readonly loadedAs: readonly string[];
}

export interface LayerFile {
  /** Digest of the uncompressed tar. */
  readonly diffId: Digest;
  /** The EROFS file. */
  readonly path: string;
  readonly sizeBytes: number;
}

/** The parts of an OCI image config (image-spec, config.md) that Hull acts on. */
export interface ImageConfig {
  readonly architecture: string;
  readonly os: string;
  /** RFC 3339, or empty. */
  readonly created: string;
  readonly author: string;
  readonly env: readonly string[];
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly workingDir: string;
  readonly user: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly exposedPorts: readonly string[];
  readonly volumes: readonly string[];
  readonly stopSignal: string;
  /** What an inspection shows besides: OnBuild, Shell, Healthcheck, in Docker's words. */
  readonly shown?: Readonly<Record<string, unknown>>;
  readonly history: readonly {
    readonly created: string;
    readonly createdBy: string;
    readonly comment: string;
    readonly emptyLayer: boolean;
  }[];
}

export interface PullOptions {
  /** `os/architecture[/variant]`; empty: the host's; `all`: whatever an index has is kept, to be pushed again. */
  readonly platform: string;
  readonly auth?: RegistryAuth;
  readonly onProgress: (event: ProgressEvent) => void;
  readonly signal?: AbortSignal;
}

export interface RegistryAuth {
  readonly username: string;
  readonly password: string;
  /** What a login gave in place of the password. */
  readonly identityToken?: string;
  /** A token to be sent as it is. */
  readonly registryToken?: string;
  /** The token server is asked for an identity token. */
  readonly wantIdentityToken?: boolean;
}

export interface PushOptions {
  /** `os/architecture[/variant]`: of an image for several, this part only; empty: what there is. */
  readonly platform: string;
  readonly auth?: RegistryAuth;
  readonly onProgress: (event: ProgressEvent) => void;
  readonly signal?: AbortSignal;
}

export interface PushedImage {
  readonly tag: string;
  /** Of the manifest or index that the tag names there. */
  readonly digest: Digest;
  /** Bytes of that manifest. */
  readonly size: number;
}

export interface RemoteImage {
  readonly digest: Digest;
  readonly mediaType: string;
  /** Bytes of the manifest. */
  readonly size: number;
  readonly platforms: readonly {
    readonly os: string;
    readonly architecture: string;
    readonly variant: string;
  }[];
}

export interface ImportOptions {
  /** Reference for the new image; empty: none. */
  readonly reference: string;
  readonly message: string;
  /** Dockerfile instructions applied to the config (`CMD ["sh"]`, `ENV A=b`…). */
  readonly changes: readonly string[];
  readonly platform: string;
}

/** One line of Docker's JSON progress stream. */
export interface ProgressEvent {
  readonly status: string;
  readonly id?: string;
  readonly progressDetail?: { readonly current?: number; readonly total?: number };
  /** With an empty status: what a push made. */
  readonly aux?: { readonly Tag: string; readonly Digest: Digest; readonly Size: number };
}

export type RemovedImage = { readonly untagged: string } | { readonly deleted: Digest };

export interface StoreUsage {
  /** Of all files that belong to images. */
  readonly totalBytes: number;
  readonly images: ReadonlyMap<Digest, ImageUsage>;
}

export interface ImageUsage {
  readonly bytes: number;
  /** Of these, bytes of files that another image has, too. */
  readonly sharedBytes: number;
}

export interface VerifyOptions {
  /** Otherwise damage is only told. */
  readonly repair: boolean;
  readonly authOf: (domain: string) => RegistryAuth | undefined;
  readonly signal: AbortSignal;
  /** Told of each part once it has been looked at. */
  readonly onPart: (part: VerifiedPart) => void | Promise<void>;
}

export interface VerifiedPart {
  readonly kind: "blob" | "layer";
  readonly digest: Digest;
  /** Names of images that have it, or their ids. */
  readonly images: readonly string[];
  /** What is wrong with it; empty: nothing. */
  readonly damage: string;
  /** Whether it is whole now. */
  readonly repaired: boolean;
  /** Where what mended it came from, or why nothing could. */
  readonly note: string;
}
