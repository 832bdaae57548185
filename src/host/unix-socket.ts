/** Unix sockets of the kind Bun cannot make itself (SOCK_SEQPACKET), and half closes in either direction. */

import { ptr } from "bun:ffi";
import { closeSync, constants, openSync } from "node:fs";
import { basename, dirname } from "node:path";
import { closeDescriptor } from "./descriptor.ts";
import { check, libc } from "./libc.ts";

const familyUnix = 1;
const typeSequencedPacket = 5;
const closeOnExec = 0o2000000;
const nonBlocking = 0o4000;
const pathCapacity = 108;

/**
 * Connects to a SOCK_SEQPACKET socket and returns its descriptor (non-blocking, close-on-exec), which the
 * caller owns. The path may be longer than an address holds: its directory is addressed by a descriptor.
 */
export function connectSequencedPacket(path: string): number {
  const directory = openSync(dirname(path), constants.O_DIRECTORY | constants.O_RDONLY);
  try {
    const short = Buffer.from(`/proc/self/fd/${directory}/${basename(path)}\0`);
    const address = Buffer.alloc(2 + pathCapacity);
    if (short.length > pathCapacity) throw new RangeError(`the socket's name is too long: ${path}`);
    address.writeUInt16LE(familyUnix, 0);
    short.copy(address, 2);
    const socket = check(
      libc.socket(familyUnix, typeSequencedPacket | closeOnExec | nonBlocking, 0),
      "socket",
      path,
    );
    try {
      check(libc.connect(socket, ptr(address), 2 + short.length), "connect", path);
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
