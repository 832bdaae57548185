/** Frames of the agent protocol: bytes in, frames out, and the other way round. */
import { ProtocolError } from "./fields.ts";
import { frame, limits } from "./protocol.ts";

export interface Frame {
  readonly type: number;
  readonly id: number;
  readonly payload: Buffer;
}

export function encodeFrame(type: number, id: number, payload: Uint8Array): Buffer {
  if (payload.length > frame.maximumPayload) throw new RangeError(`a payload of ${payload.length} bytes`);
  const bytes = Buffer.alloc(frame.headerBytes + payload.length + 1);
  bytes.writeUInt16LE(frame.magic, 0);
  bytes.writeUInt8(type, 2);
  bytes.writeUInt32LE(id, 4);
  bytes.writeUInt32LE(payload.length, 8);
  bytes.set(payload, frame.headerBytes);
  bytes.writeUInt8(frame.endByte, frame.headerBytes + payload.length);
  return bytes;
}

/** What a new connection begins with: a torn frame of the old one swallows some of it and is dropped. */
export const preamble: Uint8Array = new Uint8Array(limits.preambleBytes);

/** How much of an old connection's output is skipped in search of the welcome. */
const skipLimit = 8 * 1024 * 1024;

/**
 * Cuts a byte stream into frames. At first it skips everything up to the frame that `isFirst` accepts; from
 * then on anything that is no frame is an error.
 */
export class FrameReader {
  readonly #isFirst: (found: Frame) => boolean;
  #rest: Buffer = Buffer.alloc(0);
  #synchronized = false;
  #skipped = 0;

  constructor(isFirst: (found: Frame) => boolean) {
    this.#isFirst = isFirst;
  }

  /** The whole frames that `data` completes. Their payloads are valid until the next call. */
  *push(data: Uint8Array): Generator<Frame> {
    this.#rest = this.#rest.length === 0 ? Buffer.from(data) : Buffer.concat([this.#rest, data]);
    if (!this.#synchronized) {
      const first = this.#search();
      if (first === undefined) return;
      yield first;
    }
    let at = 0;
    try {
      for (;;) {
        const found = this.#frameAt(at);
        if (found === "incomplete") return;
        if (found === "none") throw new ProtocolError("the agent sent something that is no frame");
        at += wholeLength(found.payload.length);
        yield found;
      }
    } finally {
      this.#rest = this.#rest.subarray(at);
    }
  }

  /**
   * Looks for the first frame at every offset: what seems to be the start of a frame may be the torn end of the
   * old connection, whose rest never comes.
   */
  #search(): Frame | undefined {
    for (let at = 0; at < this.#rest.length; at++) {
      const found = this.#frameAt(at);
      if (typeof found === "string" || !this.#isFirst(found)) continue;
      this.#synchronized = true;
      this.#rest = this.#rest.subarray(at + wholeLength(found.payload.length));
      return found;
    }
    const excess = Math.max(0, this.#rest.length - wholeLength(frame.maximumPayload));
    this.#skipped += excess;
    if (this.#skipped > skipLimit) throw new ProtocolError("the agent does not answer the greeting");
    this.#rest = this.#rest.subarray(excess);
    return undefined;
  }

  #frameAt(at: number): Frame | "incomplete" | "none" {
    const { magic, headerBytes, maximumPayload, endByte } = frame;
    const available = this.#rest.length - at;
    // A wrong start is told from two bytes: nothing to wait for a header's worth of.
    if (available < 2) return "incomplete";
    if (this.#rest.readUInt16LE(at) !== magic) return "none";
    if (available < headerBytes) return "incomplete";
    const length = this.#rest.readUInt32LE(at + 8);
    if (length > maximumPayload) return "none";
    const whole = wholeLength(length);
    if (available < whole) return "incomplete";
    if (this.#rest[at + whole - 1] !== endByte) return "none";
    return {
      type: this.#rest.readUInt8(at + 2),
      id: this.#rest.readUInt32LE(at + 4),
      payload: this.#rest.subarray(at + headerBytes, at + whole - 1),
    };
  }
}

function wholeLength(payloadLength: number): number {
  return frame.headerBytes + payloadLength + 1;
}
