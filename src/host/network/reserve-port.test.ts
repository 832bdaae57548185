import { expect, test } from "bun:test";
import { readdirSync, readlinkSync } from "node:fs";
import { reservePort } from "./reserve-port.ts";

const everyAddress = Buffer.alloc(4);

/** Descriptors of sockets that this process has. */
function socketsOpen(): number[] {
  const isSocket = (name: string): boolean => {
    try {
      return readlinkSync(`/proc/self/fd/${name}`).startsWith("socket:");
    } catch {
      // The one that the directory was read by.
      return false;
    }
  };
  return readdirSync("/proc/self/fd").filter(isSocket).map(Number);
}

test("a port is taken until it is let go", () => {
  const held = reservePort("tcp", everyAddress, 18_701);
  expect(() => reservePort("tcp", everyAddress, 18_701)).toThrow("18701/tcp");
  held[Symbol.dispose]();
  using _again = reservePort("tcp", everyAddress, 18_701);
});

test("a port of TCP is free at once though another process has a copy of its descriptor", async () => {
  const before = socketsOpen();
  const held = reservePort("tcp", everyAddress, 18_702);
  const [copied] = socketsOpen().filter((one) => !before.includes(one));
  const child = Bun.spawn(["sleep", "100"], { stdio: ["ignore", "ignore", "ignore", Number(copied)] });
  try {
    held[Symbol.dispose]();
    using _again = reservePort("tcp", everyAddress, 18_702);
  } finally {
    child.kill();
    await child.exited;
  }
});
