/** Unix sockets as Bun cannot make them itself: SOCK_SEQPACKET, listeners for another program, half closes. */

import { ptr } from "bun:ffi";
import { chmodSync, closeSync, constants, openSync, rmSync } from "node:fs";
import { basename, dirname } from "node:path";
import { closeDescriptor } from "./descriptor.ts";
import { check, libc } from "./libc.ts";

const familyUnix = 1;
const typeStream = 1;
const typeSequencedPacket = 5;
const closeOnExec = 0o2000000;
const nonBlocking = 0o4000;
const pathCapacity = 108;

/**
 * Connects to a SOCK_SEQPACKET socket and returns its descriptor (non-blocking, close-on-exec), which the
 * caller owns. The path may be longer than an address holds: its directory is addressed by a descriptor.
 */
export function connectSequencedPacket(path: string): number {
  return withAddress(path, typeSequencedPacket, (socket, address, length) => {
    check(libc.connect(socket, ptr(address), length), "connect", path);
  });
}

/**
 * Makes a socket at `path`, in the place of one that an earlier owner left, and listens on it. Returns its
 * descriptor (non-blocking, close-on-exec), which the caller owns and may hand to a program that is to accept.
 */
export function listenOn(path: string): number {
  rmSync(path, { force: true });
  return withAddress(path, typeStream, (socket, address, length) => {
    check(libc.bind(socket, ptr(address), length), "bind", path);
    chmodSync(path, 0o600);
    check(libc.listen(socket, listenBacklog), "listen", path);
  });
}

/** Connections that wait until the program takes them. */
const listenBacklog = 8;

/** Makes a socket and lets `use` bind or connect it; closes it when that throws. */
function withAddress(
  path: string,
  type: number,
  use: (socket: number, address: Buffer, length: number) => void,
): number {
  const directory = openSync(dirname(path), constants.O_DIRECTORY | constants.O_RDONLY);
  try {
    const short = Buffer.from(`/proc/self/fd/${directory}/${basename(path)}\0`);
    const address = Buffer.alloc(2 + pathCapacity);
    if (short.length > pathCapacity) throw new RangeError(`the socket's name is too long: ${path}`);
    address.writeUInt16LE(familyUnix, 0);
    short.copy(address, 2);
    const socket = check(libc.socket(familyUnix, type | closeOnExec | nonBlocking, 0), "socket", path);
    try {
      use(socket, address, 2 + short.length);
    } catch (error) {
      closeDescriptor(socket);
      throw error;
    }
    return socket;
  } finally {
    closeSync(directory);
  }
}

/** Ends one direction of a connected socket. Errors mean that it has ended already. */
export function shutDownSocket(descriptor: number, direction: "receive" | "send"): void {
  libc.shutdown(descriptor, direction === "receive" ? 0 : 1);
}
