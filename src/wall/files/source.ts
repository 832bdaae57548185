/** Cuts a stream of bytes into records and the data between them. Holds one record, or one piece of data. */
import { RecordError } from "./fields.ts";
import { filesLimits } from "./protocol.ts";

/** The stream ended before the end record: whoever wrote it failed, and has said why elsewhere. */
export class SourceEnded extends Error {
  override readonly name = "SourceEnded";
}

export class RecordSource {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** The next record if it has come already. */
  ready(): Buffer | undefined {
    if (this.#rest.length < 4) return undefined;
    const length = this.#length();
    return this.#rest.length < 4 + length ? undefined : this.#cut(length);
  }

  /** The next record; empty at the end. */
  async record(): Promise<Buffer> {
    await this.#need(4);
    const length = this.#length();
    await this.#need(4 + length);
    return this.#cut(length);
  }

  /** Some of the data that follows, `most` bytes of it or fewer. Valid until the next call. */
  async data(most: number): Promise<Uint8Array> {
    await this.#need(1);
    const data = this.#rest.subarray(0, most);
    this.#rest = this.#rest.subarray(data.length);
    return data;
  }

  #length(): number {
    const length = this.#rest.readUInt32LE(0);
    if (length > filesLimits.record) throw new RecordError("a record is over its limit");
    return length;
  }

  #cut(length: number): Buffer {
    const body = this.#rest.subarray(4, 4 + length);
    this.#rest = this.#rest.subarray(4 + length);
    return body;
  }

  async #need(bytes: number): Promise<void> {
    if (this.#rest.length >= bytes) return;
    const parts: Uint8Array[] = this.#rest.length === 0 ? [] : [this.#rest];
    for (let have = this.#rest.length; have < bytes; ) {
      const next = await this.#chunks.next();
      if (next.done === true) throw new SourceEnded("the records ended too early");
      parts.push(next.value);
      have += next.value.length;
    }
    const [first] = parts;
    this.#rest =
      parts.length === 1 && first !== undefined
        ? Buffer.from(first.buffer, first.byteOffset, first.length)
        : Buffer.concat(parts);
  }
}
