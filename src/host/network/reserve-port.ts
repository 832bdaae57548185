/**
 * Ports of the host that are taken without anybody listening: so that no other program gets them while packets are
 * led elsewhere before they reach a socket.
 */
import { ptr } from "bun:ffi";
import { closeDescriptor } from "../descriptor.ts";
import { check, libc } from "../libc.ts";

const familyInet = 2;
const familyInet6 = 10;
const types = { tcp: 1, udp: 2 } as const;
const closeOnExec = 0o2000000;
const solSocket = 1;
const reuseAddress = 2;
const levelIpv6 = 41;
const onlyVersion6 = 26;
const shutdownBoth = 2;

/** `address`: 4 or 16 bytes; zeros for all. Throws `EADDRINUSE`, `EADDRNOTAVAIL`… */
export function reservePort(protocol: "tcp" | "udp", address: Buffer, port: number): Disposable {
  const family = address.length === 4 ? familyInet : familyInet6;
  const subject = `port ${port}/${protocol}`;
  const descriptor = check(libc.socket(family, types[protocol] | closeOnExec, 0), "socket", subject);
  try {
    const on = Buffer.from([1, 0, 0, 0]);
    // Connections that have ended keep a port for a while; a listener does not share it all the same.
    if (protocol === "tcp") libc.setsockopt(descriptor, solSocket, reuseAddress, ptr(on), on.length);
    if (family === familyInet6) libc.setsockopt(descriptor, levelIpv6, onlyVersion6, ptr(on), on.length);
    const name = socketAddress(family, address, port);
    check(libc.bind(descriptor, ptr(name), name.length), "bind", subject);
    if (protocol === "tcp") check(libc.listen(descriptor, 1), "listen", subject);
  } catch (error) {
    closeDescriptor(descriptor);
    throw error;
  }
  return {
    [Symbol.dispose]() {
      // A program that is just being started has a copy of the descriptor for a moment more, close-on-exec or not.
      if (protocol === "tcp") libc.shutdown(descriptor, shutdownBoth);
      closeDescriptor(descriptor);
    },
  };
}

/** struct sockaddr_in and sockaddr_in6 */
function socketAddress(family: number, address: Buffer, port: number): Buffer {
  const buffer = Buffer.alloc(family === familyInet ? 16 : 28);
  buffer.writeUInt16LE(family, 0);
  buffer.writeUInt16BE(port, 2);
  address.copy(buffer, family === familyInet ? 4 : 8);
  return buffer;
}
