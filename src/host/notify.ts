/** Tells the service manager how the daemon is doing: sd_notify(3), a datagram to the socket that NOTIFY_SOCKET names. */
import { ptr } from "bun:ffi";
import { writeSync } from "node:fs";
import { closeDescriptor } from "./descriptor.ts";
import { check, libc } from "./libc.ts";

const familyUnix = 1;
const typeDatagram = 2;
const closeOnExec = 0o2000000;
const pathCapacity = 108;

/** Sends a state such as `READY=1` to the socket at `path`; `@` begins the name of an abstract one. */
export function notifyServiceManager(path: string, state: string): void {
  const name = Buffer.from(path.startsWith("@") ? `\0${path.slice(1)}` : `${path}\0`);
  if (name.length > pathCapacity) throw new RangeError(`the socket's name is too long: ${path}`);
  const address = Buffer.alloc(2 + pathCapacity);
  address.writeUInt16LE(familyUnix, 0);
  name.copy(address, 2);
  const socket = check(libc.socket(familyUnix, typeDatagram | closeOnExec, 0), "socket", path);
  try {
    check(libc.connect(socket, ptr(address), 2 + name.length), "connect", path);
    writeSync(socket, state);
  } finally {
    closeDescriptor(socket);
  }
}
