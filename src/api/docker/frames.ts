/** Docker's multiplexed stream: frames with a head of stream, three zeros, and a big-endian size. */
import { frameHeadBytes, streamIds } from "../../contract/docker.ts";
import type { OutputChunk } from "../../wall/wall.ts";

export function frameOf(chunk: OutputChunk): Uint8Array {
  const frame = Buffer.allocUnsafe(frameHeadBytes + chunk.data.length);
  frame.writeUInt32BE(streamIds[chunk.stream] * 0x1000000, 0);
  frame.writeUInt32BE(chunk.data.length, 4);
  frame.set(chunk.data, frameHeadBytes);
  return frame;
}
