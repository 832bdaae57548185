/** A body that is read slowly, or not at all, is held by its sender and not by us. */
import { expect, test } from "bun:test";
import { testSettings } from "../testing/store.ts";
import type { RegistryReply } from "./reply.ts";
import { send } from "./transport.ts";

const megabyte = 1024 * 1024;
const piece = Buffer.alloc(megabyte, 1);

/** A server whose every answer has `bytes` bytes; `sent` says how many of them the kernel has taken. */
function sender(bytes: number): Disposable & { readonly url: URL; readonly sent: () => number } {
  let sent = 0;
  const fill = (socket: Bun.Socket): void => {
    for (let taken = 1; sent < bytes && taken > 0; sent += taken)
      taken = socket.write(piece.subarray(0, Math.min(piece.length, bytes - sent)));
  };
  const server = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data(socket) {
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${bytes}\r\n\r\n`);
        fill(socket);
      },
      drain: fill,
    },
  });
  return {
    url: new URL(`http://127.0.0.1:${server.port}/`),
    sent: () => sent,
    [Symbol.dispose]: () => server.stop(true),
  };
}

function get(url: URL): Promise<RegistryReply> {
  const { signal } = new AbortController();
  return send({ method: "GET", url, headers: new Headers(), tls: undefined, signal }, testSettings);
}

test("a body that nobody goes on reading stays with its sender, whatever its size", async () => {
  const size = 512 * megabyte;
  using server = sender(size);
  const body = (await get(server.url)).body();
  let read = (await body.next()).value?.length ?? 0;
  expect(read).toBeGreaterThan(0);
  for (let calm = 0, before = 0; calm < 20; before = server.sent()) {
    await Bun.sleep(10);
    calm = server.sent() === before ? calm + 1 : 0;
  }
  // Most of it is the kernel's, on both sides of the connection.
  expect(server.sent()).toBeLessThan(64 * megabyte);
  for await (const chunk of body) read += chunk.length;
  expect(read).toBe(size);
});

test("the memory of each chunk is given back when the next one is asked for", async () => {
  using server = sender(32 * megabyte);
  const kept: Uint8Array[] = [];
  let read = 0;
  for await (const chunk of (await get(server.url)).body()) {
    expect(kept.every(({ length }) => length === 0)).toBe(true);
    read += chunk.length;
    kept.push(chunk);
  }
  expect(read).toBe(32 * megabyte);
  expect(kept.length).toBeGreaterThan(1);
  expect(kept.every(({ length }) => length === 0)).toBe(true);
});

test("an answer that is read as a whole has all of its bytes", async () => {
  using server = sender(3 * megabyte);
  const bytes = await (await get(server.url)).bytes(3 * megabyte);
  expect(bytes.equals(Buffer.alloc(3 * megabyte, 1))).toBe(true);
});
