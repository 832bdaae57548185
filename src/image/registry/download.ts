/** Downloads of blobs: continued where they broke off, and never longer than promised. */
import { HullError } from "../../contract/errors.ts";
import type { Descriptor } from "../manifest.ts";
import { type RegistryClient, RegistryNotFound } from "./client.ts";
import { RequestFailure } from "./failure.ts";
import type { RegistryReply } from "./reply.ts";
import { Retries } from "./retry.ts";

type Blob = Pick<Descriptor, "digest" | "size"> & Partial<Pick<Descriptor, "urls">>;

export interface DownloadOptions {
  /** Names the blob in errors: `layer 0123 of alpine:3`. */
  readonly what: string;
  readonly signal: AbortSignal;
  /** So many mirrors, the first ones, are not asked. */
  readonly passed?: number;
  /** A pause before the next attempt, in seconds. */
  readonly onWait?: (seconds: number) => void;
}

/**
 * Yields exactly the bytes that the descriptor promises; whether they are the right ones is the caller's to check. A
 * chunk is good until the next one is asked for.
 * Throws `registry`, `corrupt` when they end too soon, `tooLarge` when there are more.
 */
export async function* download(
  client: RegistryClient,
  descriptor: Blob,
  options: DownloadOptions,
): AsyncGenerator<Uint8Array> {
  const { what, signal } = options;
  const retries = new Retries(client.settings.patience, signal, options.onWait);
  // Its manifest came from there.
  retries.progressed();
  const enough = client.settings.patience.stall.bytes;
  let offset = 0;
  let attempts = 0;
  for (;;) {
    const began = offset;
    try {
      for await (const chunk of attempt(client, descriptor, offset, options, attempts++)) {
        offset += chunk.length;
        yield chunk;
      }
      if (offset === descriptor.size) return;
      throw new RequestFailure("broken", `${offset} of ${descriptor.size} bytes came`);
    } catch (error) {
      // A trickle is no progress.
      if (offset - began >= enough) retries.progressed();
      await retries.after(error).catch((final: unknown) => {
        throw client.errorOf(what, final);
      });
    }
  }
}

/** One request, from `offset` on. */
async function* attempt(
  client: RegistryClient,
  descriptor: Blob,
  offset: number,
  { what, signal, passed = 0 }: DownloadOptions,
  earlier: number,
): AsyncGenerator<Uint8Array> {
  const headers = offset === 0 ? {} : { range: `bytes=${offset}-` };
  const options = { headers, signal, passed: earlier > 0 ? client.mirrorCount : passed };
  const reply = await client.readOnce(`blobs/${descriptor.digest}`, options).catch((error: unknown) => {
    if (!(error instanceof RegistryNotFound)) throw error;
    const { urls = [] } = descriptor;
    const url = urls[earlier % urls.length];
    if (url !== undefined) return client.readForeign(url, options);
    throw new HullError(
      "registry",
      { host: client.domain, why: `${what} is missing there` },
      { cause: error },
    );
  });
  // A registry without ranges begins at the beginning.
  let skip = offset - startOf(reply, offset);
  let length = offset - skip;
  for await (const chunk of reply.body()) {
    length += chunk.length;
    if (length > descriptor.size)
      throw new HullError("tooLarge", {
        what,
        value: `more than ${descriptor.size} bytes`,
        limit: `the ${descriptor.size} bytes that its manifest promises`,
      });
    const rest = chunk.subarray(Math.min(skip, chunk.length));
    skip -= chunk.length - rest.length;
    if (rest.length > 0) yield rest;
  }
}

/** Where the bytes of an answer begin. */
function startOf(reply: RegistryReply, asked: number): number {
  if (reply.status !== 206) return 0;
  const [, first] = /^bytes (\d+)-/.exec(reply.header("content-range") ?? "") ?? [];
  const start = first === undefined ? asked : Number(first);
  if (start > asked)
    throw new RequestFailure(
      "refused",
      `it was asked for bytes from ${asked} on and gives them from ${start}`,
    );
  return start;
}
