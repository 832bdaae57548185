import { expect, test } from "bun:test";
import { Duplex } from "node:stream";
import { channelOfSocket } from "./channel.ts";

test("a client that takes its time gets the last bytes before the connection is closed", async () => {
  let take = (): void => {};
  const socket = new Duplex({
    read() {},
    write(_chunk, _encoding, callback) {
      take = callback;
    },
  });
  const channel = channelOfSocket(socket, Buffer.alloc(0));
  await channel.write(Buffer.from("the last bytes"));
  channel.end();
  await Bun.sleep(2300);
  expect(socket.destroyed).toBe(false);
  take();
  await new Promise((resolve) => socket.once("close", resolve));
}, 10_000);
