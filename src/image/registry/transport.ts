/** One HTTP request to a registry or its token server: proxies, TLS and stalls are seen to, redirects are not followed. */
import type { TlsOptions } from "./certificates.ts";
import { failureOf, RequestFailure } from "./failure.ts";
import { proxyFor } from "./proxy.ts";
import { RegistryReply } from "./reply.ts";
import type { RegistrySettings } from "./settings.ts";
import { StallWatch } from "./stall.ts";

/** Bytes to send. Made anew for every attempt. */
export interface Upload {
  readonly bytes: () => AsyncIterable<Uint8Array>;
  readonly length: number;
}

export interface HttpRequest {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly url: URL;
  readonly headers: Headers;
  readonly body?: string | Uint8Array | Upload | undefined;
  readonly tls: TlsOptions | undefined;
  readonly signal: AbortSignal;
  /** How many times the ordinary patience this request deserves: a registry may have much to do before it answers. */
  readonly patience?: number;
}

const agent = "hull";

/** Throws `RequestFailure`, or the reason of the signal when that is aborted. */
export async function send(request: HttpRequest, settings: RegistrySettings): Promise<RegistryReply> {
  const { url, headers, body, signal } = request;
  signal.throwIfAborted();
  const { milliseconds, bytes } = settings.patience.stall;
  const watch = new StallWatch(signal, { milliseconds: milliseconds * (request.patience ?? 1), bytes });
  const failure = (error: unknown): Error => explain(url, error, signal, watch);
  headers.set("user-agent", agent);
  // What is hashed is what was stored, so nothing may be compressed or inflated on the way.
  headers.set("accept-encoding", "identity");
  const proxy = proxyFor(url, settings.proxies);
  try {
    const response = await fetch(url, {
      method: request.method,
      headers: withLength(headers, body),
      ...(body === undefined ? {} : { body: isUpload(body) ? streamOf(body, watch) : body }),
      redirect: "manual",
      decompress: false,
      signal: watch.signal,
      ...(proxy === undefined ? {} : { proxy }),
      ...(url.protocol === "https:" && request.tls !== undefined ? { tls: request.tls } : {}),
    });
    return new RegistryReply(url, response, watch, failure);
  } catch (error) {
    watch.pause();
    throw failure(error);
  }
}

function explain(url: URL, error: unknown, signal: AbortSignal, watch: StallWatch): Error {
  if (signal.aborted) {
    const reason: unknown = signal.reason;
    return reason instanceof Error ? reason : new Error("it was cancelled", { cause: reason });
  }
  const reason: unknown = watch.signal.reason;
  if (watch.signal.aborted && reason instanceof RequestFailure) return reason;
  return failureOf(url, error);
}

function isUpload(body: HttpRequest["body"]): body is Upload {
  return typeof body === "object" && "length" in body && "bytes" in body;
}

function withLength(headers: Headers, body: HttpRequest["body"]): Headers {
  if (isUpload(body)) headers.set("content-length", String(body.length));
  return headers;
}

function streamOf(body: Upload, watch: StallWatch): ReadableStream<Uint8Array> {
  const chunks = body.bytes()[Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const next = await chunks.next();
        if (next.done === true) return controller.close();
        watch.heard(next.value.length);
        controller.enqueue(next.value);
      },
      async cancel() {
        await chunks.return?.();
      },
    },
    { highWaterMark: 0 },
  );
}
