import { expect, test } from "bun:test";
import { ProtocolError } from "./fields.ts";
import { encodeFrame, type Frame, FrameReader } from "./frames.ts";
import { frame } from "./protocol.ts";

const any = () => true;

function collect(reader: FrameReader, data: Uint8Array): Frame[] {
  return [...reader.push(data)].map((found) => ({ ...found, payload: Buffer.from(found.payload) }));
}

test("frames come out as they went in, however the stream is cut", () => {
  const sent = [0, 1, 7, frame.maximumPayload].map((length, id) => ({
    type: 68,
    id,
    payload: Buffer.alloc(length, id),
  }));
  const stream = Buffer.concat(sent.map(({ type, id, payload }) => encodeFrame(type, id, payload)));
  for (const step of [1, 2, 5, 13, 4096, stream.length]) {
    const reader = new FrameReader(any);
    const received: Frame[] = [];
    for (let at = 0; at < stream.length; at += step)
      received.push(...collect(reader, stream.subarray(at, at + step)));
    expect(received).toEqual(sent);
  }
});

test("everything before the first accepted frame is skipped, torn frames included", () => {
  const old = encodeFrame(68, 0, Buffer.alloc(300, 1));
  const welcome = encodeFrame(65, 9, Buffer.from("nonce"));
  for (let cut = 0; cut <= old.length; cut += 7) {
    const reader = new FrameReader((found) => found.id === 9);
    const received = collect(reader, Buffer.concat([old.subarray(cut), Buffer.alloc(3), welcome]));
    expect(received.map((found) => found.id)).toEqual([9]);
  }
});

test("a frame whose rest never comes does not hide the first frame", () => {
  const torn = encodeFrame(68, 0, Buffer.alloc(9000, 1));
  const welcome = encodeFrame(65, 9, Buffer.from("nonce"));
  const reader = new FrameReader((found) => found.id === 9);
  const received = [
    ...collect(reader, torn.subarray(0, 20)),
    ...collect(reader, welcome.subarray(0, 5)),
    ...collect(reader, Buffer.concat([welcome.subarray(5), welcome])),
  ];
  expect(received.map((found) => found.id)).toEqual([9, 9]);
});

test("after the first frame, what is no frame is an error", () => {
  const good = encodeFrame(65, 0, Buffer.alloc(0));
  const tooLong = Buffer.from(good);
  tooLong.writeUInt32LE(frame.maximumPayload + 1, 8);
  const noEnd = Buffer.from(good);
  noEnd[good.length - 1] = 0;
  for (const bad of [Buffer.alloc(2), tooLong, noEnd, Buffer.from("GET / HTTP/1.1\r\n")]) {
    const reader = new FrameReader(any);
    collect(reader, good);
    expect(() => collect(reader, bad)).toThrow(ProtocolError);
  }
});

test("a guest that never greets is given up", () => {
  const reader = new FrameReader(() => false);
  const flood = Buffer.alloc(1024 * 1024, 7);
  expect(() => {
    for (let sent = 0; sent < 64; sent++) collect(reader, flood);
  }).toThrow(ProtocolError);
});

test("random bytes give an error or nothing, never a hang", () => {
  let seed = 1;
  const random = () => {
    seed = (seed * 48271) % 0x7fffffff;
    return seed & 0xff;
  };
  for (let round = 0; round < 200; round++) {
    const reader = new FrameReader(any);
    collect(reader, encodeFrame(65, 0, Buffer.alloc(0)));
    const noise = Uint8Array.from({ length: 200 }, random);
    if (round % 2 === 0) noise.set([0x48, 0x4c]);
    try {
      collect(reader, noise);
    } catch (error) {
      expect(error).toBeInstanceOf(ProtocolError);
    }
  }
});
