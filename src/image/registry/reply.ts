/** Answers of a registry, read with an eye on the clock and on their size. */
import { HullError } from "../../contract/errors.ts";
import { giveBack } from "../content/give-back.ts";
import type { StallWatch } from "./stall.ts";

/** An answer whose body is read under the rule about stalls. It has to be read or discarded. */
export class RegistryReply {
  readonly #response: Response;
  readonly #watch: StallWatch;
  readonly #failure: (error: unknown) => Error;
  /** Where it came from, after redirects. */
  readonly url: URL;

  constructor(url: URL, response: Response, watch: StallWatch, failure: (error: unknown) => Error) {
    this.url = url;
    this.#response = response;
    this.#watch = watch;
    this.#failure = failure;
    watch.pause();
  }

  get ok(): boolean {
    return this.#response.ok;
  }

  get status(): number {
    return this.#response.status;
  }

  header(name: string): string | undefined {
    return this.#response.headers.get(name) ?? undefined;
  }

  /** A chunk is good until the next one is asked for. Throws `RequestFailure` when the connection breaks or stalls. */
  async *body(): AsyncGenerator<Uint8Array> {
    const reader = this.#response.body?.getReader();
    try {
      while (reader !== undefined) {
        this.#watch.listen();
        const next = await reader.read().catch((error: unknown) => {
          throw this.#failure(error);
        });
        // The time that the consumer takes is not the registry's.
        this.#watch.pause();
        if (next.done) return;
        this.#watch.heard(next.value.length);
        yield next.value;
        giveBack(next.value);
      }
    } finally {
      this.#watch.pause();
      await reader?.cancel().catch(() => undefined);
    }
  }

  /** Throws `tooLarge` when there are more than `limit` bytes. */
  async bytes(limit: number): Promise<Buffer> {
    const chunks: Uint8Array[] = [];
    let length = 0;
    for await (const chunk of this.body()) {
      length += chunk.length;
      if (length > limit)
        throw new HullError("tooLarge", {
          what: `the answer of ${this.url.host}`,
          value: `more than ${limit} bytes`,
          limit: `${limit} bytes`,
        });
      chunks.push(new Uint8Array(chunk));
    }
    return Buffer.concat(chunks);
  }

  async text(limit: number): Promise<string> {
    return (await this.bytes(limit)).toString("utf8");
  }

  /** Lets the connection go. What is short is read, so that the connection serves again. */
  async discard(): Promise<void> {
    if (Number(this.header("content-length") ?? 0) > 64 * 1024) {
      this.#watch.pause();
      await this.#response.body?.cancel().catch(() => undefined);
    } else await this.bytes(64 * 1024).catch(() => undefined);
  }
}
