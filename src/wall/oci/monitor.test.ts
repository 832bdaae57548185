import { expect, test } from "bun:test";
import { parseSyncMessage } from "./monitor.ts";

test("conmon's messages are read, whatever bytes are in them", () => {
  expect(parseSyncMessage('{"data": 123}')).toEqual({ data: 123, message: "" });
  expect(parseSyncMessage('{"data": -1, "message": "a \\"b\\"\\nc"}')).toEqual({
    data: -1,
    message: 'a "b"\nc',
  });
  const umlaut = Buffer.from('{"data": -1, "message": "ü"}').toString("latin1");
  expect(parseSyncMessage(umlaut).message).toBe("ü");
  expect(parseSyncMessage('{"data": -1, "message": "bad \\x escape"}').message).toBe("bad \\x escape");
  expect(() => parseSyncMessage("nonsense")).toThrow("nonsense");
});
