/** Addresses and routes of interfaces (rtnetlink(7)): messages, and what routes there are. */
import { attribute, attributesOf, type Message, messageFlag, type NetlinkSocket, u32 } from "./netlink.ts";

const type = {
  newAddress: 20,
  getAddress: 22,
  newRoute: 24,
  deleteRoute: 25,
  getRoute: 26,
} as const;
const address = { address: 1, local: 2, broadcast: 4, flags: 8 } as const;
const route = { destination: 1, outInterface: 4, gateway: 5 } as const;

const familyInet = 2;
const familyInet6 = 10;
const noDuplicateDetection = 0x02;
const mainTable = 254;
const protocolStatic = 4;
const scopeUniverse = 0;
const unicast = 1;

/** Bytes of an IPv4 (4) or IPv6 (16) address, and how many leading bits name the network. */
export interface Prefix {
  readonly bytes: Buffer;
  readonly length: number;
}

export function addAddress(index: number, { bytes, length }: Prefix): Message {
  return {
    subject: `address ${bytes.toString("hex")}/${length}`,
    type: type.newAddress,
    flags: messageFlag.create | messageFlag.replace,
    body: Buffer.concat([
      addressHeader(index, bytes, length),
      attribute(address.local, bytes),
      attribute(address.address, bytes),
      ...(bytes.length === 16
        ? [attribute(address.flags, u32(noDuplicateDetection))]
        : broadcast(bytes, length)),
    ]),
  };
}

/** Programs ask the interface for it; the kernel does not work it out by itself. */
function broadcast(bytes: Buffer, length: number): Buffer[] {
  if (length > 30) return [];
  const last = (bytes.readUInt32BE() | (0xffffffff >>> length)) >>> 0;
  const value = Buffer.alloc(4);
  value.writeUInt32BE(last);
  return [attribute(address.broadcast, value)];
}

/** All addresses of all interfaces. */
export function hostAddresses(socket: NetlinkSocket): Buffer[] {
  const question = { subject: "addresses", type: type.getAddress, flags: 0, body: Buffer.alloc(8) };
  return socket.dump(question).flatMap(({ body }) => {
    const found = attributesOf(body, 8);
    const bytes = found.get(address.local) ?? found.get(address.address);
    return bytes === undefined ? [] : [Buffer.from(bytes)];
  });
}

export function addDefaultRoute(index: number, gateway: Buffer): Message {
  return {
    subject: `route via ${gateway.toString("hex")}`,
    type: type.newRoute,
    flags: messageFlag.create | messageFlag.replace,
    body: defaultRoute(index, gateway),
  };
}

export function deleteDefaultRoute(index: number, gateway: Buffer): Message {
  return {
    subject: "default route",
    type: type.deleteRoute,
    flags: 0,
    body: defaultRoute(index, gateway),
    tolerate: ["ESRCH"],
  };
}

export interface Route {
  readonly destination: Prefix;
  /** Index of the interface it leads to; 0 when it leads to none. */
  readonly interface: number;
  readonly table: number;
}

/** All routes but the default ones, which collide with everything and mean nothing here. */
export function listRoutes(socket: NetlinkSocket): Route[] {
  return [familyInet, familyInet6].flatMap((family) => {
    const header = Buffer.alloc(12);
    header[0] = family;
    const question = { subject: "routes", type: type.getRoute, flags: 0, body: header };
    return socket.dump(question).flatMap(({ body }) => {
      const found = attributesOf(body, 12);
      const bytes = found.get(route.destination);
      const length = body[1] ?? 0;
      if (bytes === undefined || length === 0 || body[7] !== unicast) return [];
      const destination = { bytes: Buffer.from(bytes), length };
      return [
        {
          destination,
          interface: found.get(route.outInterface)?.readUInt32LE(0) ?? 0,
          table: body[4] ?? mainTable,
        },
      ];
    });
  });
}

/** struct ifaddrmsg */
function addressHeader(index: number, bytes: Buffer, length: number): Buffer {
  const header = Buffer.alloc(8);
  header[0] = familyOf(bytes);
  header[1] = length;
  header[2] = bytes.length === 16 ? noDuplicateDetection : 0;
  header.writeUInt32LE(index, 4);
  return header;
}

/** struct rtmsg and its attributes; no destination is all of them. */
function defaultRoute(index: number, gateway: Buffer): Buffer {
  const header = Buffer.alloc(12);
  header[0] = familyOf(gateway);
  header[4] = mainTable;
  header[5] = protocolStatic;
  header[6] = scopeUniverse;
  header[7] = unicast;
  return Buffer.concat([
    header,
    attribute(route.gateway, gateway),
    attribute(route.outInterface, u32(index)),
  ]);
}

function familyOf(bytes: Buffer): number {
  return bytes.length === 4 ? familyInet : familyInet6;
}
