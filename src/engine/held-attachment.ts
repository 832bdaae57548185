/**
 * An attachment to a workload that is not running yet. Docker's clients attach before they start, so the engine
 * holds the request and connects it between the sandbox's creation and its start: no byte is lost.
 */
import type { Attachment, OutputChunk, Sandbox } from "../wall/wall.ts";

export class HeldAttachment implements Attachment {
  readonly #stdin: boolean;
  readonly #connected = Promise.withResolvers<Attachment | undefined>();
  readonly #onDetach: (attachment: HeldAttachment) => void;
  #detached = false;
  readonly output: AsyncIterable<OutputChunk>;

  constructor(options: { stdin: boolean; onDetach: (attachment: HeldAttachment) => void }) {
    this.#stdin = options.stdin;
    this.#onDetach = options.onDetach;
    this.output = this.#read();
  }

  async connect(sandbox: Sandbox): Promise<void> {
    if (this.#detached) return;
    const attachment = await sandbox.attach({ stdin: this.#stdin });
    if (this.#detached) attachment.detach();
    this.#connected.resolve(attachment);
  }

  /** The workload will not start for this attachment: its output ends. */
  release(): void {
    this.#connected.resolve(undefined);
  }

  async write(data: Uint8Array): Promise<void> {
    await (await this.#connected.promise)?.write(data);
  }

  async endInput(): Promise<void> {
    await (await this.#connected.promise)?.endInput();
  }

  detach(): void {
    this.#detached = true;
    this.#onDetach(this);
    this.#connected.promise.then((attachment) => attachment?.detach());
    this.release();
  }

  async *#read(): AsyncGenerator<OutputChunk> {
    const attachment = await this.#connected.promise;
    if (attachment !== undefined) yield* attachment.output;
  }
}
