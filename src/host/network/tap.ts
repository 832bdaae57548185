/** Tap devices (tuntap.rst of the kernel's documentation), and the splice between one and another interface. */
import { ptr } from "bun:ffi";
import { closeSync, openSync } from "node:fs";
import { check, libc } from "../libc.ts";
import { attribute, type Message, messageFlag, nested, u32, zeroTerminated } from "./netlink.ts";

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

const type = { newQueue: 36, deleteQueue: 37, newFilter: 44 } as const;
const control = { kind: 1, options: 2 } as const;
const ingressParent = 0xffff_fff1;
const ingressHandle = 0xffff_0000;
const allProtocols = 0x0003;
const u32Attribute = { selector: 5, action: 7 } as const;
const action = { kind: 1, options: 2 } as const;
const mirredParameters = 2;
const actionStolen = 4;
const egressRedirect = 1;
const selectorTerminal = 1;

/** Everything that one interface receives goes out of the other, and the other way round. */
export function splice(one: number, other: number): Message[] {
  return [ingress(one), ingress(other), redirect(one, other), redirect(other, one)];
}

/** Takes away where the interface's packets went, wherever that was. */
export function unsplice(index: number): Message {
  return {
    subject: `ingress of interface ${index}`,
    type: type.deleteQueue,
    flags: 0,
    body: Buffer.concat([
      controlHeader(index, ingressHandle, ingressParent, 0),
      attribute(control.kind, zeroTerminated("ingress")),
    ]),
    tolerate: ["ENOENT", "EINVAL"],
  };
}

function ingress(index: number): Message {
  return {
    subject: `ingress of interface ${index}`,
    type: type.newQueue,
    flags: messageFlag.create | messageFlag.exclusive,
    body: Buffer.concat([
      controlHeader(index, ingressHandle, ingressParent, 0),
      attribute(control.kind, zeroTerminated("ingress")),
    ]),
    tolerate: ["EEXIST"],
  };
}

function redirect(from: number, to: number): Message {
  // struct tc_u32_sel with one key that every packet matches.
  const selector = Buffer.alloc(16 + 16);
  selector[0] = selectorTerminal;
  selector[2] = 1;
  // struct tc_mirred
  const mirred = Buffer.alloc(28);
  mirred.writeInt32LE(actionStolen, 8);
  mirred.writeInt32LE(egressRedirect, 20);
  mirred.writeUInt32LE(to, 24);
  return {
    subject: `redirection from interface ${from} to ${to}`,
    type: type.newFilter,
    flags: messageFlag.create | messageFlag.exclusive,
    body: Buffer.concat([
      controlHeader(from, 0, ingressHandle, (1 << 16) | (allProtocols << 8)),
      attribute(control.kind, zeroTerminated("u32")),
      nested(
        control.options,
        attribute(u32Attribute.selector, selector),
        nested(
          u32Attribute.action,
          nested(
            1,
            attribute(action.kind, zeroTerminated("mirred")),
            nested(action.options, attribute(mirredParameters, mirred)),
          ),
        ),
      ),
    ]),
  };
}

/** struct tcmsg */
function controlHeader(index: number, handle: number, parent: number, information: number): Buffer {
  return Buffer.concat([u32(0), u32(index), u32(handle), u32(parent), u32(information)]);
}
