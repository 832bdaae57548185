import { describe, expect, test } from "bun:test";
import { Demultiplexer, encodeFrame, type OutputChunk, StreamError } from "./stdcopy.ts";

/** A small generator of numbers, so that a failure can be run again. */
function randomNumbers(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

function joined(chunks: readonly OutputChunk[], stream: OutputChunk["stream"]): Buffer {
  return Buffer.concat(chunks.filter((chunk) => chunk.stream === stream).map((chunk) => chunk.data));
}

describe("the demultiplexer", () => {
  test("gives the same output wherever the bytes are cut", () => {
    const random = randomNumbers(7);
    for (let round = 0; round < 200; round += 1) {
      const frames = Array.from({ length: 1 + random(20) }, () => {
        const data = Buffer.from(Array.from({ length: random(50) }, () => random(256)));
        return { stream: random(2) === 0 ? ("stdout" as const) : ("stderr" as const), data };
      });
      const bytes = Buffer.concat(frames.map(({ stream, data }) => encodeFrame(stream, data)));
      const demultiplexer = new Demultiplexer();
      const chunks: OutputChunk[] = [];
      for (let offset = 0; offset < bytes.length; ) {
        const size = 1 + random(random(10) === 0 ? 200 : 9);
        chunks.push(...demultiplexer.push(bytes.subarray(offset, offset + size)));
        offset += size;
      }
      demultiplexer.end();
      for (const stream of ["stdout", "stderr"] as const)
        expect(joined(chunks, stream)).toEqual(joined(frames, stream));
    }
  });

  test("passes parts of a large frame on as they come", () => {
    const frame = encodeFrame("stdout", Buffer.alloc(1000, "x"));
    const demultiplexer = new Demultiplexer();
    const [chunk] = demultiplexer.push(frame.subarray(0, 108));
    expect(chunk?.data.length).toBe(100);
  });

  test("throws the daemon's own words", () => {
    const frame = Buffer.from(encodeFrame("stderr", Buffer.from("it broke\n")));
    frame[0] = 3;
    const demultiplexer = new Demultiplexer();
    demultiplexer.push(frame.subarray(0, 11));
    expect(() => demultiplexer.push(frame.subarray(11))).toThrow(new StreamError("it broke"));
  });

  test.each([
    ["an unknown stream", Buffer.of(4, 0, 0, 0, 0, 0, 0, 1)],
    ["padding that is not zero", Buffer.of(1, 0, 1, 0, 0, 0, 0, 1)],
    ["a size over the limit", Buffer.of(1, 0, 0, 0, 255, 255, 255, 255)],
    ["text", Buffer.from("HTTP/1.1 200 OK")],
  ])("refuses %s", (_, bytes) => {
    expect(() => new Demultiplexer().push(bytes)).toThrow("bad frame");
  });

  test("an end within a frame is an error, within its head, too", () => {
    for (const length of [3, 8, 10]) {
      const demultiplexer = new Demultiplexer();
      demultiplexer.push(encodeFrame("stdout", Buffer.from("abc")).subarray(0, length));
      expect(() => demultiplexer.end()).toThrow("within a frame");
    }
  });
});
