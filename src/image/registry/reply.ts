/** Answers of a registry, read with an eye on the clock: one that falls silent is not waited for. */
import { HullError } from "../../contract/errors.ts";

/** A registry that sends nothing for so long is taken for gone. */
const silenceLimit = 60_000;

/** An answer whose body is read under the rule about silence. */
export class RegistryReply {
  readonly #response: Response;
  readonly #silence: Silence;
  readonly #failure: (error: unknown) => Error;

  constructor(response: Response, silence: Silence, failure: (error: unknown) => Error) {
    this.#response = response;
    this.#silence = silence;
    this.#failure = failure;
  }

  get ok(): boolean {
    return this.#response.ok;
  }

  get status(): number {
    return this.#response.status;
  }

  get headers(): Headers {
    return this.#response.headers;
  }

  async *body(): AsyncGenerator<Uint8Array> {
    const reader = this.#response.body?.getReader();
    try {
      while (reader !== undefined) {
        this.#silence.listen();
        const next = await reader.read().catch((error: unknown) => {
          throw this.#failure(error);
        });
        // The time that the consumer takes is not the registry's.
        this.#silence.pause();
        if (next.done) return;
        yield next.value;
      }
    } finally {
      this.#silence.stop();
      await reader?.cancel().catch(() => undefined);
    }
  }

  async bytes(limit: number): Promise<Buffer> {
    const chunks: Uint8Array[] = [];
    let length = 0;
    for await (const chunk of this.body()) {
      length += chunk.length;
      if (length > limit)
        throw new HullError("tooLarge", {
          what: `the answer of ${new URL(this.#response.url).host}`,
          value: `more than ${limit} bytes`,
          limit: `${limit} bytes`,
        });
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  }

  async text(limit: number): Promise<string> {
    return (await this.bytes(limit)).toString("utf8");
  }

  async discard(): Promise<void> {
    this.#silence.stop();
    await this.#response.body?.cancel().catch(() => undefined);
  }
}

/** Aborts a request when nothing is heard for too long, or when the whole pull is aborted. */
export class Silence {
  readonly signal: AbortSignal;
  readonly #controller = new AbortController();
  #timer: NodeJS.Timeout | undefined;

  constructor(outer: AbortSignal) {
    this.signal = AbortSignal.any([outer, this.#controller.signal]);
    this.listen();
  }

  listen(): void {
    this.pause();
    this.#timer = setTimeout(
      () => this.#controller.abort(new Error(`nothing came for ${silenceLimit / 1000} seconds`)),
      silenceLimit,
    );
  }

  pause(): void {
    clearTimeout(this.#timer);
  }

  stop(): void {
    this.pause();
  }
}
