/** Frames as a hostile neighbour would write them, by hand. */
import { bytesOfText } from "../../src/network/addresses/address.ts";

export interface Station {
  readonly mac: string;
  readonly address4: string;
  readonly address6: string;
}

const type = { ip: 0x0800, arp: 0x0806, ip6: 0x86dd } as const;
const everybody = "ff:ff:ff:ff:ff:ff";
export const allNodes = "33:33:00:00:00:01";

export function frame(from: string, ethertype: number, payload: Buffer, to = everybody): Buffer {
  return Buffer.concat([mac(to), mac(from), u16(ethertype), payload]);
}

/** UDP to a group of nobody's in particular, so that every neighbour sees it. `mark`: bytes of the payload. */
export function ip4(from: string, sender: string, mark: Buffer): Buffer {
  const udp = Buffer.concat([u16(9), u16(9), u16(8 + mark.length), u16(0), mark]);
  const header = Buffer.alloc(20);
  header[0] = 0x45;
  header.writeUInt16BE(20 + udp.length, 2);
  header[8] = 64;
  header[9] = 17;
  address(sender).copy(header, 12);
  address("255.255.255.255").copy(header, 16);
  header.writeUInt16BE(checksum(header), 10);
  return frame(from, type.ip, Buffer.concat([header, udp]));
}

export function arp(
  from: string,
  what: {
    readonly answer: boolean;
    readonly hardware: string;
    readonly sender: string;
    readonly target: string;
  },
  mark: Buffer,
): Buffer {
  return frame(
    from,
    type.arp,
    Buffer.concat([
      Buffer.of(0, 1, 8, 0, 6, 4, 0, what.answer ? 2 : 1),
      ...[mac(what.hardware), address(what.sender), mac("00:00:00:00:00:00"), address(what.target)],
      mark,
    ]),
  );
}

/** ICMPv6 of a type to all nodes of the link; `extension`: behind a header of options. */
export function icmp6(
  from: string,
  sender: string,
  message: { readonly type: number; readonly target?: string; readonly extension?: boolean },
  mark: Buffer,
): Buffer {
  const target = message.target === undefined ? Buffer.alloc(0) : address(message.target);
  const icmp = Buffer.concat([Buffer.of(message.type, 0, 0, 0, 0x20, 0, 0, 0), target, mark]);
  const destination = address("ff02::1");
  const pseudo = Buffer.concat([address(sender), destination, u32(icmp.length), u32(58), icmp]);
  icmp.writeUInt16BE(checksum(pseudo), 2);
  // Hop-by-hop options with nothing but padding.
  const extension = message.extension === true ? Buffer.of(58, 0, 1, 4, 0, 0, 0, 0) : Buffer.alloc(0);
  const header = Buffer.alloc(40);
  header[0] = 0x60;
  header.writeUInt16BE(extension.length + icmp.length, 4);
  header[6] = extension.length > 0 ? 0 : 58;
  header[7] = 255;
  address(sender).copy(header, 8);
  destination.copy(header, 24);
  return frame(from, type.ip6, Buffer.concat([header, extension, icmp]), allNodes);
}

/** A frame with a VLAN's tag. */
export function tagged(plain: Buffer): Buffer {
  return Buffer.concat([plain.subarray(0, 12), Buffer.of(0x81, 0, 0, 7), plain.subarray(12)]);
}

function mac(text: string): Buffer {
  return Buffer.from(text.replaceAll(":", ""), "hex");
}

function address(text: string): Buffer {
  return bytesOfText(text, "address");
}

function u16(value: number): Buffer {
  const buffer = Buffer.alloc(2);
  buffer.writeUInt16BE(value);
  return buffer;
}

function u32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32BE(value);
  return buffer;
}

/** RFC 1071 */
function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
