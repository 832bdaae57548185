/** Little-endian fields of a payload. The guest is hostile: a read past the end throws, and so does a number that is no safe integer. */

/** What the guest sent breaks the protocol. */
export class ProtocolError extends Error {
  override readonly name = "ProtocolError";
}

export class FieldReader {
  readonly #data: Buffer;
  #at = 0;

  constructor(data: Uint8Array) {
    this.#data = Buffer.from(data.buffer, data.byteOffset, data.length);
  }

  u8(): number {
    return this.#data.readUInt8(this.#take(1));
  }

  u32(): number {
    return this.#data.readUInt32LE(this.#take(4));
  }

  u64(): number {
    const value = this.#data.readBigUInt64LE(this.#take(8));
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new ProtocolError("a number is out of range");
    return Number(value);
  }

  /** Bytes that are no valid UTF-8 are replaced. */
  string(): string {
    const length = this.u32();
    const start = this.#take(length);
    return this.#data.toString("utf8", start, start + length);
  }

  /** A copy of the next bytes. */
  bytes(length: number): Buffer {
    const start = this.#take(length);
    return Buffer.from(this.#data.subarray(start, start + length));
  }

  /** What is left, not copied. */
  rest(): Buffer {
    return this.#data.subarray(this.#take(this.#data.length - this.#at));
  }

  #take(length: number): number {
    const start = this.#at;
    if (length > this.#data.length - start) throw new ProtocolError("a message is too short");
    this.#at += length;
    return start;
  }
}

export class FieldWriter {
  readonly #parts: Buffer[] = [];

  u8(value: number): this {
    return this.#number(1, (part) => part.writeUInt8(value));
  }

  u16(value: number): this {
    return this.#number(2, (part) => part.writeUInt16LE(value));
  }

  u32(value: number): this {
    return this.#number(4, (part) => part.writeUInt32LE(value));
  }

  u64(value: number | bigint): this {
    return this.#number(8, (part) => part.writeBigUInt64LE(BigInt(value)));
  }

  string(value: string | Uint8Array): this {
    const bytes = Buffer.from(value);
    this.u32(bytes.length);
    this.#parts.push(bytes);
    return this;
  }

  strings(values: readonly string[]): this {
    this.u32(values.length);
    for (const value of values) this.string(value);
    return this;
  }

  bytes(value: Uint8Array): this {
    this.#parts.push(Buffer.from(value));
    return this;
  }

  take(): Buffer {
    return Buffer.concat(this.#parts);
  }

  #number(size: number, write: (part: Buffer) => void): this {
    const part = Buffer.alloc(size);
    write(part);
    this.#parts.push(part);
    return this;
  }
}
