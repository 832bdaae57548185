/** Little-endian fields of a record. What is read is hostile: a read past the end throws. */

/** What came breaks the form of records (guest/protocol.md, "Files"). */
export class RecordError extends Error {
  override readonly name = "RecordError";
}

export class RecordFields {
  readonly #data: Buffer;
  #at = 0;

  constructor(data: Buffer) {
    this.#data = data;
  }

  u8(): number {
    return this.#data.readUInt8(this.#take(1));
  }

  u32(): number {
    return this.#data.readUInt32LE(this.#take(4));
  }

  /** Signed. */
  i64(): number {
    const value = Number(this.#data.readBigInt64LE(this.#take(8)));
    if (!Number.isSafeInteger(value)) throw new RecordError("a number is out of range");
    return value;
  }

  u64(): number {
    const value = this.i64();
    if (value < 0) throw new RecordError("a number is out of range");
    return value;
  }

  /** One character for each byte. */
  text(): string {
    const length = this.u32();
    const start = this.#take(length);
    return this.#data.toString("latin1", start, start + length);
  }

  bytes(): Uint8Array {
    const length = this.u32();
    const start = this.#take(length);
    return new Uint8Array(this.#data.subarray(start, start + length));
  }

  #take(length: number): number {
    const start = this.#at;
    if (length > this.#data.length - start) throw new RecordError("a record is too short");
    this.#at += length;
    return start;
  }
}

export class RecordWriter {
  readonly #parts: Buffer[] = [];

  u8(value: number): this {
    return this.#number(1, (part) => part.writeUInt8(value));
  }

  u32(value: number): this {
    return this.#number(4, (part) => part.writeUInt32LE(value));
  }

  i64(value: number): this {
    return this.#number(8, (part) => part.writeBigInt64LE(BigInt(value)));
  }

  text(value: string): this {
    return this.bytes(Buffer.from(value, "latin1"));
  }

  bytes(value: Uint8Array): this {
    this.u32(value.length);
    this.#parts.push(Buffer.from(value.buffer, value.byteOffset, value.length));
    return this;
  }

  /** The record: its length and what was written. */
  record(): Buffer {
    const body = Buffer.concat(this.#parts);
    const head = Buffer.alloc(4);
    head.writeUInt32LE(body.length);
    return Buffer.concat([head, body]);
  }

  #number(size: number, write: (part: Buffer) => void): this {
    const part = Buffer.alloc(size);
    write(part);
    this.#parts.push(part);
    return this;
  }
}

export const endRecord: Uint8Array = new Uint8Array(4);
