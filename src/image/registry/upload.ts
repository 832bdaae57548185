/**
 * Uploads of blobs: not at all when they are there, mounted from another repository where that is possible, in one
 * request when they are small, in chunks otherwise, and continued where they broke off.
 * Source: OCI distribution-spec 1.1, "Pushing blobs".
 */
import type { Digest, ProgressEvent } from "../image-store.ts";
import type { Descriptor } from "../manifest.ts";
import { Denied } from "./authorizer.ts";
import { type RegistryClient, RegistryNotFound } from "./client.ts";
import { byteReporter, type RegistryContext, shortDigest } from "./context.ts";
import { RequestFailure } from "./failure.ts";
import type { RegistryReply } from "./reply.ts";
import { Retries } from "./retry.ts";
import type { Upload } from "./transport.ts";

/** A registry moves, and may hash, the whole blob before it answers the last request. */
const finishPatience = 5;

export interface BlobPush {
  readonly descriptor: Descriptor;
  /** Names the blob in errors. */
  readonly what: string;
  /** Repositories of the same registry that have it, most likely. */
  readonly sources: readonly string[];
  readonly emit: (event: ProgressEvent) => void;
}

/** Throws `registry`, `pushDenied`, `unauthorized`. */
export async function pushBlob(
  context: RegistryContext,
  client: RegistryClient,
  push: BlobPush,
): Promise<void> {
  const { descriptor, what, emit } = push;
  const id = shortDigest(descriptor.digest);
  if (await isThere(client, descriptor.digest, what)) return emit({ status: "Layer already exists", id });
  const begun = await mount(client, push);
  if (begun.mountedFrom !== undefined) return emit({ status: `Mounted from ${begun.mountedFrom}`, id });
  await new Uploading(context, client, push, begun.session).run();
  emit({ status: "Pushed", id });
}

/** Whether the registry has a blob. */
export async function isThere(client: RegistryClient, digest: Digest, what: string): Promise<boolean> {
  try {
    await (await client.write({ method: "HEAD", at: `${client.path}/blobs/${digest}` }, what)).discard();
    return true;
  } catch (error) {
    if (error instanceof RegistryNotFound) return false;
    throw error;
  }
}

/** A registry that will not mount begins an upload instead, or not even that. */
async function mount(
  client: RegistryClient,
  { descriptor, sources }: BlobPush,
): Promise<{ readonly mountedFrom?: string; readonly session?: RegistryReply }> {
  for (const from of sources) {
    client.wantAlso(from);
    const query = new URLSearchParams({ mount: descriptor.digest, from });
    try {
      const reply = await client.once({ method: "POST", at: `${client.path}/blobs/uploads/?${query}` });
      await reply.discard();
      if (reply.status === 201) return { mountedFrom: from };
      if (reply.status === 202) return { session: reply };
    } catch (error) {
      const harmless =
        error instanceof RegistryNotFound || error instanceof Denied || error instanceof RequestFailure;
      if (!harmless) throw error;
    }
  }
  return {};
}

class Uploading {
  readonly #client: RegistryClient;
  readonly #descriptor: Descriptor;
  readonly #what: string;
  readonly #emit: (event: ProgressEvent) => void;
  readonly #path: string;
  /** Where the next request goes; undefined: a session has to be begun. */
  #session: URL | undefined;
  /** Bytes that the registry has. */
  #offset = 0;
  #chunkBytes: number;
  #chunksRefused = false;

  constructor(
    context: RegistryContext,
    client: RegistryClient,
    { descriptor, what, emit }: BlobPush,
    begun: RegistryReply | undefined,
  ) {
    this.#client = client;
    this.#descriptor = descriptor;
    this.#what = what;
    this.#emit = emit;
    this.#path = context.content.blobPath(descriptor.digest);
    this.#chunkBytes = client.settings.uploadChunkBytes;
    if (begun !== undefined) this.#follow(begun);
  }

  async run(): Promise<void> {
    const { patience } = this.#client.settings;
    const id = shortDigest(this.#descriptor.digest);
    const onWait = (seconds: number): void => this.#emit({ status: `Retrying in ${seconds} seconds`, id });
    const retries = new Retries(patience, this.#client.signal, onWait);
    for (;;) {
      const began = this.#offset;
      try {
        return await this.#send();
      } catch (error) {
        if (this.#refusesChunks(error)) continue;
        if (this.#offset > began) retries.progressed();
        await retries.after(retriable(error)).catch((final: unknown) => {
          throw this.#client.errorOf(this.#what, final);
        });
        await this.#resume();
      }
    }
  }

  async #send(): Promise<void> {
    const { size } = this.#descriptor;
    if (this.#session === undefined) await this.#begin();
    const inOne = this.#offset === 0 && (size <= this.#chunkBytes || this.#chunksRefused);
    while (!inOne && this.#offset < size) await this.#sendChunk();
    const reply = await this.#request("PUT", this.#finalUrl(), inOne ? this.#part(0, size) : undefined);
    await reply.discard();
  }

  async #begin(): Promise<void> {
    this.#offset = 0;
    const reply = await this.#client.once({ method: "POST", at: `${this.#client.path}/blobs/uploads/` });
    await reply.discard();
    const least = Number(reply.header("oci-chunk-min-length") ?? 0);
    if (least > this.#chunkBytes) this.#chunkBytes = least;
    this.#follow(reply);
  }

  async #sendChunk(): Promise<void> {
    const end = Math.min(this.#descriptor.size, this.#offset + this.#chunkBytes);
    const range = { "content-range": `${this.#offset}-${end - 1}` };
    const reply = await this.#request("PATCH", this.#sessionUrl(), this.#part(this.#offset, end), range);
    await reply.discard();
    this.#follow(reply);
    // A registry that does not say what it has, has what it was sent.
    const received = receivedBytes(reply) ?? end;
    if (received > end) throw new RequestFailure("refused", "it says that it has more than it was sent");
    if (received <= this.#offset)
      throw new RequestFailure("broken", "it took a chunk and has no more than before");
    this.#offset = received;
  }

  /** Asks how much arrived of an upload that broke off; one that is not known any more begins anew. */
  async #resume(): Promise<void> {
    if (this.#session === undefined) return;
    try {
      const reply = await this.#client.once({ method: "GET", at: this.#session });
      await reply.discard();
      this.#follow(reply);
      this.#offset = Math.min(receivedBytes(reply) ?? 0, this.#descriptor.size);
      if (this.#offset === 0) this.#session = undefined;
    } catch {
      this.#client.signal.throwIfAborted();
      this.#session = undefined;
      this.#offset = 0;
    }
  }

  #follow(reply: RegistryReply): void {
    const location = reply.header("location") ?? "";
    if (!URL.canParse(location, reply.url.href)) {
      if (this.#session !== undefined) return;
      throw new RequestFailure("refused", "it gives no place to upload to");
    }
    this.#session = new URL(location, reply.url);
  }

  #sessionUrl(): URL {
    if (this.#session === undefined) throw new RequestFailure("broken", "the upload has no place");
    return this.#session;
  }

  /** Queries of the place belong to it: they are kept as they are. */
  #finalUrl(): URL {
    const url = new URL(this.#sessionUrl());
    url.search = `${url.search === "" ? "?" : `${url.search}&`}digest=${this.#descriptor.digest}`;
    return url;
  }

  /** Some registries take blobs in one piece only. */
  #refusesChunks(error: unknown): boolean {
    const refused =
      error instanceof RegistryNotFound ||
      (error instanceof RequestFailure && [400, 405, 411, 501].includes(error.status ?? 0));
    const chunked = this.#session !== undefined && this.#descriptor.size > this.#chunkBytes;
    if (!refused || !chunked || this.#offset > 0 || this.#chunksRefused) return false;
    this.#chunksRefused = true;
    this.#session = undefined;
    return true;
  }

  #request(
    method: "PUT" | "PATCH",
    at: URL,
    body: Upload | undefined,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<RegistryReply> {
    return this.#client.once({
      method,
      at,
      headers: { ...headers, "content-type": "application/octet-stream" },
      body: body ?? new Uint8Array(0),
      ...(method === "PUT" ? { patience: finishPatience } : {}),
    });
  }

  #part(start: number, end: number): Upload {
    const { size, digest } = this.#descriptor;
    const path = this.#path;
    const emit = this.#emit;
    return {
      length: end - start,
      async *bytes() {
        const report = byteReporter("Pushing", shortDigest(digest), size, emit);
        report(start);
        for await (const chunk of Bun.file(path).slice(start, end).stream()) {
          report(chunk.length);
          yield chunk;
        }
      },
    };
  }
}

/** `Range: 0-99`: a hundred bytes. Registries say `0-0` when they have none. */
function receivedBytes(reply: RegistryReply): number | undefined {
  const [, last] = /^(?:bytes[= ])?0-(\d+)/.exec(reply.header("range") ?? "") ?? [];
  if (last === undefined) return undefined;
  return last === "0" ? 0 : Number(last) + 1;
}

/** A place that is lost or not where it was thought to be is found again by asking. */
function retriable(error: unknown): unknown {
  if (error instanceof RegistryNotFound) return new RequestFailure("broken", error.message, { cause: error });
  if (error instanceof RequestFailure && error.status === 416)
    return new RequestFailure("broken", error.message, { cause: error, status: 416 });
  return error;
}
