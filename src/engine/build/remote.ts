/** What a build fetches itself: contexts behind URLs, and the files of ADD. */
import { posix } from "node:path";
import { HullError, messageOf } from "../../contract/errors.ts";
import { type ProxySettings, proxyFor } from "../../image/registry/proxy.ts";

export interface Download {
  readonly bytes: AsyncIterable<Uint8Array>;
  /** The last part of the URL's path; may be empty. */
  readonly name: string;
  /** Seconds since the epoch; 0 when the server did not say. */
  readonly mtimeSeconds: number;
  /** Content type, without parameters. */
  readonly type: string;
}

export function isHttpUrl(text: string): boolean {
  return /^https?:\/\//i.test(text);
}

const maxRedirects = 10;

/** Starts a download; redirects are followed. Throws `download`. */
export async function download(url: string, signal: AbortSignal, proxies: ProxySettings): Promise<Download> {
  const response = await follow(url, signal, proxies);
  if (!response.ok || response.body === null) {
    await response.body?.cancel();
    throw new HullError("download", {
      url,
      why: `the server answered ${response.status} ${response.statusText}`,
    });
  }
  const modified = Date.parse(response.headers.get("last-modified") ?? "");
  return {
    bytes: told(url, response.body, signal),
    name: nameOf(url),
    mtimeSeconds: Number.isNaN(modified) ? 0 : Math.floor(modified / 1000),
    type: response.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase() ?? "",
  };
}

/** Each place on the way has the proxy that is meant for it. */
async function follow(url: string, signal: AbortSignal, proxies: ProxySettings): Promise<Response> {
  let at = url;
  for (let hops = 0; hops <= maxRedirects; hops++) {
    if (!URL.canParse(at) || !isHttpUrl(at))
      throw new HullError("download", { url, why: `${JSON.stringify(at)} is no http(s) URL` });
    const proxy = proxyFor(new URL(at), proxies);
    let response: Response;
    try {
      response = await fetch(at, { signal, redirect: "manual", ...(proxy === undefined ? {} : { proxy }) });
    } catch (error) {
      signal.throwIfAborted();
      throw new HullError("download", { url, why: messageOf(error) }, { cause: error });
    }
    const location = response.headers.get("location");
    if (location === null || ![301, 302, 303, 307, 308].includes(response.status)) return response;
    await response.body?.cancel();
    at = URL.canParse(location, at) ? new URL(location, at).href : location;
  }
  throw new HullError("download", { url, why: `it redirects more than ${maxRedirects} times` });
}

async function* told(
  url: string,
  body: ReadableStream<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of body) yield chunk;
  } catch (error) {
    signal.throwIfAborted();
    throw new HullError("download", { url, why: `it broke off: ${messageOf(error)}` }, { cause: error });
  }
}

function nameOf(url: string): string {
  const name = decodePart(posix.basename(new URL(url).pathname));
  return name.includes("/") || name === "." || name === ".." ? "" : name;
}

function decodePart(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
