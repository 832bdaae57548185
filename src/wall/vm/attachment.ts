/**
 * Attachments to a process of a VM: each gets a copy of the output. One that does not read holds up the others
 * and the process, as a pipe would, once its share is full; what it keeps is bounded.
 */
import type { Attachment, OutputChunk } from "../wall.ts";

export interface AttachmentInput {
  write(data: Uint8Array): Promise<void>;
  endInput(): Promise<void>;
  /** The attachment is gone; `wrote` says whether it ever wrote. */
  detached(wrote: boolean): void;
}

/** Bytes waiting for a reader at which its process is held up. */
const highWater = 256 * 1024;
/** What keeping a piece costs beside its bytes: a process may write them one by one. */
const pieceCost = 128;

export class AttachmentSet {
  readonly #open = new Set<OpenAttachment>();
  #ended = false;

  add(input: AttachmentInput | undefined): Attachment {
    const attachment = new OpenAttachment(input, () => this.#open.delete(attachment));
    if (this.#ended) attachment.end();
    else this.#open.add(attachment);
    return attachment;
  }

  /** Gives everyone the chunks; resolves when each can take more. */
  async push(chunks: readonly OutputChunk[]): Promise<void> {
    await Promise.all([...this.#open].map((attachment) => attachment.push(chunks)));
  }

  /** Nothing follows. */
  end(): void {
    this.#ended = true;
    for (const attachment of this.#open) attachment.end();
    this.#open.clear();
  }
}

class OpenAttachment implements Attachment {
  readonly output: AsyncIterable<OutputChunk>;
  readonly #input: AttachmentInput | undefined;
  readonly #remove: () => void;
  readonly #chunks: OutputChunk[] = [];
  #waiting = 0;
  #ended = false;
  #detached = false;
  #wrote = false;
  #wakeReader: (() => void) | undefined;
  #wakePusher: (() => void) | undefined;

  constructor(input: AttachmentInput | undefined, remove: () => void) {
    this.#input = input;
    this.#remove = remove;
    this.output = this.#read();
  }

  async write(data: Uint8Array): Promise<void> {
    if (this.#ended || this.#detached || data.length === 0) return;
    this.#wrote = true;
    await this.#input?.write(data);
  }

  async endInput(): Promise<void> {
    if (this.#ended || this.#detached) return;
    this.#wrote = true;
    await this.#input?.endInput();
  }

  detach(): void {
    if (this.#detached) return;
    this.#detached = true;
    this.#remove();
    if (!this.#ended) this.#input?.detached(this.#wrote);
    this.#chunks.length = 0;
    this.#waiting = 0;
    this.#wake();
  }

  async push(chunks: readonly OutputChunk[]): Promise<void> {
    for (const chunk of chunks) {
      this.#chunks.push(chunk);
      this.#waiting += chunk.data.length + pieceCost;
    }
    this.#wakeReader?.();
    while (this.#waiting > highWater && !this.#detached && !this.#ended)
      await new Promise<void>((resolve) => {
        this.#wakePusher = resolve;
      });
  }

  end(): void {
    this.#ended = true;
    this.#wake();
  }

  async *#read(): AsyncGenerator<OutputChunk> {
    try {
      while (!this.#detached) {
        const chunk = this.#chunks.shift();
        if (chunk !== undefined) {
          this.#waiting -= chunk.data.length + pieceCost;
          if (this.#waiting <= highWater) this.#wakePusher?.();
          yield chunk;
        } else if (this.#ended) return;
        else
          await new Promise<void>((resolve) => {
            this.#wakeReader = resolve;
          });
      }
    } finally {
      this.detach();
    }
  }

  #wake(): void {
    this.#wakeReader?.();
    this.#wakePusher?.();
  }
}
