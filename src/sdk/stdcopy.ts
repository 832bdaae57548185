/** Splits Docker's multiplexed stream into its frames' contents, wherever the network cut it. */
import { frameHeadBytes, streamIds } from "../contract/docker.ts";
import { ProtocolError } from "./api-error.ts";

/** A larger frame is not from a daemon: Docker's own are of 32 KiB. */
const frameLimit = 64 * 1024 * 1024;

export interface OutputChunk {
  readonly stream: "stdout" | "stderr";
  readonly data: Uint8Array;
}

/** A frame on the stream of errors: the daemon's own words in the middle of an output. */
export class StreamError extends Error {
  override readonly name = "StreamError";
}

/** Keeps no more than a frame's head between calls: contents are passed on as they come, without copying. */
export class Demultiplexer {
  readonly #head = Buffer.alloc(frameHeadBytes);
  #headLength = 0;
  #left = 0;
  #stream = 0;
  readonly #errors: Uint8Array[] = [];

  /** The contents that are complete with `bytes`. */
  push(bytes: Uint8Array): OutputChunk[] {
    const chunks: OutputChunk[] = [];
    for (let offset = 0; offset < bytes.length; ) {
      if (this.#headLength < frameHeadBytes) {
        const part = bytes.subarray(offset, offset + frameHeadBytes - this.#headLength);
        this.#head.set(part, this.#headLength);
        this.#headLength += part.length;
        offset += part.length;
        if (this.#headLength === frameHeadBytes) this.#readHead();
        continue;
      }
      const data = bytes.subarray(offset, offset + this.#left);
      offset += data.length;
      this.#left -= data.length;
      if (this.#stream === streamIds.systemError) this.#errors.push(data);
      else chunks.push({ stream: this.#stream === streamIds.stderr ? "stderr" : "stdout", data });
      if (this.#left === 0) this.#endFrame();
    }
    return chunks;
  }

  /** To be called at the stream's end: a frame that was cut short is an error. */
  end(): void {
    if (this.#headLength > 0) throw new ProtocolError("the daemon's output stream ended within a frame");
  }

  #readHead(): void {
    const stream = this.#head[0] ?? 0;
    const size = this.#head.readUInt32BE(4);
    if (stream > streamIds.systemError || this.#head.readUIntBE(1, 3) !== 0 || size > frameLimit)
      throw new ProtocolError(`the daemon's output stream has a bad frame: ${this.#head.toString("hex")}`);
    this.#stream = stream;
    this.#left = size;
    if (size === 0) this.#endFrame();
  }

  #endFrame(): void {
    this.#headLength = 0;
    if (this.#errors.length > 0)
      throw new StreamError(Buffer.concat(this.#errors.splice(0)).toString("utf8").trim());
  }
}

/** One frame, as the daemon's side writes it. */
export function encodeFrame(stream: "stdout" | "stderr", data: Uint8Array): Uint8Array {
  const frame = Buffer.alloc(frameHeadBytes + data.length);
  frame[0] = streamIds[stream];
  frame.writeUInt32BE(data.length, 4);
  frame.set(data, frameHeadBytes);
  return frame;
}
