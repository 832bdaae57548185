/** What a build fetches itself: contexts behind URLs, and the files of ADD. */
import { posix } from "node:path";
import { HullError, messageOf } from "../../contract/errors.ts";

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

/** Starts a download; redirects are followed. Throws `download`. */
export async function download(url: string, signal: AbortSignal): Promise<Download> {
  let response: Response;
  try {
    response = await fetch(url, { signal, redirect: "follow" });
  } catch (error) {
    signal.throwIfAborted();
    throw new HullError("download", { url, why: messageOf(error) }, { cause: error });
  }
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
