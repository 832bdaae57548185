/** /images of the Engine API. */

import type { ImagePruneReport } from "../contract/docker/prune.ts";
import type { VerifyLine } from "../contract/docker/verify.ts";
import type {
  ImageDeleteItem,
  ImageHistoryItem,
  ImageInspect,
  ImageSummary,
  ProgressLine,
  RegistryAuthHeader,
} from "../contract/docker.ts";
import { ApiError } from "./api-error.ts";
import { type Filters, filtersQuery } from "./filters.ts";
import { jsonLines } from "./json-lines.ts";
import { checked } from "./lazy-schemas.ts";
import type { QueryValue, Transport, Upload } from "./transport.ts";

/** Bytes to send; with a size they are sent as they are, without one in chunks. */
export interface Source {
  readonly data: AsyncIterable<Uint8Array>;
  readonly size?: number | undefined;
}

export interface ImportOptions {
  readonly repository?: string | undefined;
  readonly tag?: string | undefined;
  readonly message?: string | undefined;
  /** Dockerfile instructions applied to the image's configuration. */
  readonly changes?: readonly string[] | undefined;
  readonly platform?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface PushOptions {
  /** `os/architecture[/variant]`: of an image for several, this part only. */
  readonly platform?: string | undefined;
  readonly auth?: RegistryAuthHeader | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface PullOptions {
  /** `os/architecture[/variant]`; `all` keeps whatever an index has. */
  readonly platform?: string | undefined;
  readonly auth?: RegistryAuthHeader | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** `name`: a reference, an id, or an unambiguous prefix of one. */
export class Images {
  readonly #transport: Transport;
  readonly #unversioned: Transport;

  constructor(transport: Transport, unversioned: Transport) {
    this.#transport = transport;
    this.#unversioned = unversioned;
  }

  async list(
    options: { readonly all?: boolean | undefined; readonly filters?: Filters | undefined } = {},
  ): Promise<ImageSummary[]> {
    const query = { all: options.all, filters: filtersQuery(options.filters), digests: true };
    return checked("imageList", await this.#transport.json("GET", "/images/json", { query }));
  }

  async inspect(name: string): Promise<ImageInspect> {
    return checked("imageInspect", await this.#transport.json("GET", `${at(name)}/json`));
  }

  async history(name: string): Promise<ImageHistoryItem[]> {
    return checked("imageHistory", await this.#transport.json("GET", `${at(name)}/history`));
  }

  async tag(name: string, repository: string, tag: string): Promise<void> {
    await this.#transport.call("POST", `${at(name)}/tag`, { query: { repo: repository, tag } });
  }

  async remove(
    name: string,
    options: { readonly force?: boolean | undefined; readonly noPrune?: boolean | undefined } = {},
  ): Promise<ImageDeleteItem[]> {
    const query = { force: options.force, noprune: options.noPrune };
    return checked("imageDelete", await this.#transport.json("DELETE", at(name), { query }));
  }

  /** Pushes a tag; an empty one means all that are here. The last line's `aux` has the digest. */
  push(
    reference: { readonly name: string; readonly tag: string },
    options: PushOptions = {},
  ): AsyncGenerator<ProgressLine, void, void> {
    const query = { tag: reference.tag === "" ? undefined : reference.tag, platform: options.platform };
    // The header has to be there, even without credentials.
    const headers = { "X-Registry-Auth": authHeader(options.auth ?? {}) };
    return this.#progress(`${at(reference.name)}/push`, query, headers, undefined, options.signal);
  }

  /** Yields what happens; throws `ApiError` when the pull fails, at whatever point. An empty tag means all of them. */
  pull(
    reference: { readonly name: string; readonly tag: string },
    options: PullOptions = {},
  ): AsyncGenerator<ProgressLine, void, void> {
    const tag = reference.tag === "" ? undefined : reference.tag;
    const query = { fromImage: reference.name, tag, platform: options.platform };
    const auth = options.auth === undefined ? {} : { "X-Registry-Auth": authHeader(options.auth) };
    return this.#progress("/images/create", query, auth, undefined, options.signal);
  }

  /** Makes an image of a root file system's tar. The last line's `status` is the image's id. */
  import(source: Source, options: ImportOptions = {}): AsyncGenerator<ProgressLine, void, void> {
    const query = {
      fromSrc: "-",
      repo: options.repository,
      tag: options.tag,
      message: options.message,
      changes: options.changes,
      platform: options.platform,
    };
    return this.#progress("/images/create", query, {}, upload(source), options.signal);
  }

  /** Removes images without a tag that no container uses; with the filter `dangling=false`, all that none uses. */
  async prune(options: { readonly filters?: Filters | undefined } = {}): Promise<ImagePruneReport> {
    const query = { filters: filtersQuery(options.filters) };
    return checked("imagePrune", await this.#transport.json("POST", "/images/prune", { query }));
  }

  /** Looks through all that images keep on the daemon's disk. Yields what is damaged, and at the end how it stands. */
  async *verify(
    options: {
      /** Mends what can be mended; otherwise damage is only told. */
      readonly repair?: boolean | undefined;
      /** By registry. */
      readonly auths?: Readonly<Record<string, RegistryAuthHeader>> | undefined;
    } = {},
  ): AsyncGenerator<VerifyLine, void, void> {
    const auths = options.auths ?? {};
    const headers = {
      "X-Registry-Config": Buffer.from(JSON.stringify(auths)).toString("base64url"),
    };
    const query = { repair: options.repair ?? true };
    const answer = await this.#unversioned.request("POST", "/hull/v1/images/verify", { query, headers });
    for await (const value of jsonLines(answer)) {
      const line = await checked("verifyLine", value);
      if (line.Error !== undefined) throw new ApiError(500, line.Error);
      yield line;
    }
  }

  /** Several images as one archive, for `load` and `docker load`. */
  async save(names: readonly string[]): Promise<AsyncIterable<Uint8Array>> {
    const { body } = await this.#transport.request("GET", "/images/get", { query: { names } });
    return (async function* () {
      for (let bytes = await body.read(); bytes !== undefined; bytes = await body.read()) yield bytes;
    })();
  }

  /** Loads the images of a `docker save` or OCI archive. */
  load(
    source: Source,
    options: { readonly quiet?: boolean | undefined; readonly signal?: AbortSignal | undefined } = {},
  ): AsyncGenerator<ProgressLine, void, void> {
    return this.#progress(
      "/images/load",
      { quiet: options.quiet ?? false },
      {},
      upload(source),
      options.signal,
    );
  }

  async *#progress(
    path: string,
    query: Readonly<Record<string, QueryValue>>,
    headers: Readonly<Record<string, string>>,
    body: Upload | undefined,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<ProgressLine, void, void> {
    const answer = await this.#transport.request("POST", path, { query, headers, upload: body, signal });
    for await (const value of jsonLines(answer)) {
      const line = await checked("progressLine", value);
      // The head had been sent with a good status when it went wrong.
      if (line.error !== undefined) throw new ApiError(line.errorDetail?.code ?? 500, line.error);
      yield line;
    }
  }
}

/** References keep their slashes: the API's routes take them so. */
function at(name: string): string {
  return `/images/${name.split("/").map(encodeURIComponent).join("/")}`;
}

function upload(source: Source): Upload {
  return { data: source.data, size: source.size, contentType: "application/x-tar" };
}

export function authHeader(auth: RegistryAuthHeader): string {
  return Buffer.from(JSON.stringify(auth)).toString("base64url");
}
