/** Tap devices (tuntap.rst of the kernel's documentation). */
import { ptr } from "bun:ffi";
import { closeSync, openSync } from "node:fs";
import { check, libc } from "../libc.ts";

const request = { setInterface: 0x4004_54ca, setPersistent: 0x4004_54cb, setOwner: 0x4004_54cc } as const;
const tap = 0x0002;
const noPacketInformation = 0x1000;
const virtioHeader = 0x4000;

/** Makes a tap that stays, which `owner` may open; in the namespace that the calling thread is in. */
export function makeTap(name: string, owner: number): void {
  const descriptor = openSync("/dev/net/tun", "r+");
  try {
    const interfaceRequest = Buffer.alloc(40);
    interfaceRequest.write(name, 0, 15, "latin1");
    interfaceRequest.writeUInt16LE(tap | noPacketInformation | virtioHeader, 16);
    check(libc.ioctl(descriptor, request.setInterface, ptr(interfaceRequest)), "TUNSETIFF", name);
    // These two take a number in the place of the pointer.
    setNumber(descriptor, request.setOwner, owner, "TUNSETOWNER");
    setNumber(descriptor, request.setPersistent, 1, "TUNSETPERSIST");
  } finally {
    closeSync(descriptor);
  }
}

function setNumber(descriptor: number, what: number, value: number, call: string): void {
  const ioctl = 16;
  check(libc.syscall(ioctl, descriptor, what, value, 0, 0, 0), call, String(value));
}
