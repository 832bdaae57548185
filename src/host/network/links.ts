/** Network links (rtnetlink(7), linux/if_link.h): messages that make, change and take away interfaces, and what there is. */
import { existsSync } from "node:fs";
import {
  type Answer,
  attribute,
  attributesOf,
  type Message,
  messageFlag,
  type NetlinkSocket,
  nested,
  textAttribute,
  u8,
  u32,
  zeroTerminated,
} from "./netlink.ts";

const type = { newLink: 16, deleteLink: 17, getLink: 18 } as const;

const link = {
  address: 1,
  name: 3,
  mtu: 4,
  link: 5,
  master: 10,
  linkInfo: 18,
  alias: 20,
  statistics: 23,
  familySpec: 26,
  group: 27,
  namespaceDescriptor: 28,
  largestSegment4: 63,
} as const;
const info = { kind: 1, data: 2, slaveKind: 4, slaveData: 5 } as const;
const bridge = { forwardDelay: 1, multicastSnooping: 23, options: 46, mostLearned: 49 } as const;

/**
 * Hardware addresses that a bridge learns (kernels from 6.7 on; earlier ones ignore it): whoever makes up senders would fill
 * the kernel's memory. Packets to what was not learned go out by every port.
 */
const mostLearned = 8192;

/**
 * A bridge learns from the frames of link protocols (LLDP) before any packet filter sees them: anybody could say that a
 * neighbour is where it is itself. Kernels from 5.0 on can leave that.
 */
const notFromLinkProtocols = 1 << 0;
const bridgePort = { mode: 4, isolated: 33 } as const;
const vethPeer = 1;
const familyInet6 = 10;
const addressGenerationMode = 8;
const noGeneratedAddress = 1;
const flagUp = 1;

/** Longest name of an interface. */
export const longestName = 15;

export interface Link {
  readonly index: number;
  readonly name: string;
  readonly alias: string;
  readonly up: boolean;
  /** `02:42:ac:11:00:02` */
  readonly mac: string;
  readonly mtu: number;
  readonly master: number;
  /** As in LinkSettings; 0 where the kernel does not tell. */
  readonly largestSegment4: number;
  readonly kind: string;
  readonly traffic: Traffic;
}

/** Counted from the interface's own view. */
export interface Traffic {
  readonly receivedBytes: number;
  readonly receivedPackets: number;
  readonly receiveErrors: number;
  readonly receiveDropped: number;
  readonly sentBytes: number;
  readonly sentPackets: number;
  readonly sendErrors: number;
  readonly sendDropped: number;
}

export interface LinkSettings {
  readonly mac?: string | undefined;
  readonly mtu?: number | undefined;
  readonly alias?: string | undefined;
  readonly master?: number | undefined;
  readonly up?: boolean | undefined;
  /** The kernel makes up no IPv6 address, and asks no neighbour whether it is free. */
  readonly noGeneratedAddress?: boolean | undefined;
  /** Number that interfaces may have in common (`group` of ip-link(8)). */
  readonly group?: number | undefined;
  /** A bridge's port that reaches the bridge only, not the other isolated ports. */
  readonly isolated?: boolean | undefined;
  /** A bridge's port that gives back what came in by it (hairpin mode). */
  readonly reflecting?: boolean | undefined;
  /** Bytes that it is handed at most in one piece of IPv4 (IFLA_GSO_IPV4_MAX_SIZE); kernels before 6.3 ignore it. */
  readonly largestSegment4?: number | undefined;
}

export function makeBridge(name: string, settings: LinkSettings): Message[] {
  const data = nested(
    info.data,
    attribute(bridge.forwardDelay, u32(0)),
    attribute(bridge.multicastSnooping, u8(0)),
    attribute(bridge.mostLearned, u32(mostLearned)),
    // struct br_boolopt_multi: what is on, of which.
    attribute(bridge.options, u32(notFromLinkProtocols), u32(notFromLinkProtocols)),
  );
  return makeAndSet(name, "bridge", data, settings);
}

/** An interface that gives back what it was handed, after its queue: packets of others take a detour through it. */
export function makeQueueDevice(name: string, settings: LinkSettings): Message[] {
  return makeAndSet(name, "ifb", Buffer.alloc(0), settings);
}

export interface VethPeer {
  readonly name: string;
  /** Descriptor of the peer's namespace. */
  readonly namespace: number;
  readonly mac?: string | undefined;
  readonly mtu?: number | undefined;
}

export function makeVeth(name: string, settings: LinkSettings, peer: VethPeer): Message[] {
  const peerBody = Buffer.concat([
    header(0),
    attribute(link.name, zeroTerminated(peer.name)),
    attribute(link.namespaceDescriptor, u32(peer.namespace)),
    ...settingsOf(peer),
  ]);
  return makeAndSet(name, "veth", nested(info.data, nested(vethPeer, peerBody)), settings);
}

/** Changes an interface that is there, named by its index or its name. */
export function setLink(target: number | string, settings: LinkSettings): Message {
  const body = [
    typeof target === "number" ? header(target, settings.up) : header(0, settings.up),
    ...(typeof target === "string" ? [attribute(link.name, zeroTerminated(target))] : []),
    ...settingsOf(settings),
    ...(settings.noGeneratedAddress === true && hasVersion6()
      ? [
          nested(
            link.familySpec,
            nested(familyInet6, attribute(addressGenerationMode, u8(noGeneratedAddress))),
          ),
        ]
      : []),
    ...portSettingsOf(settings),
  ];
  return { subject: `link ${target}`, type: type.newLink, flags: 0, body: Buffer.concat(body) };
}

let version6: boolean | undefined;

/** A kernel without IPv6 refuses to be told anything about it. */
function hasVersion6(): boolean {
  version6 ??= existsSync("/proc/sys/net/ipv6");
  return version6;
}

/** A veth's peer goes with it. */
export function deleteLink(name: string): Message {
  return {
    subject: `link ${name}`,
    type: type.deleteLink,
    flags: 0,
    body: Buffer.concat([header(0), attribute(link.name, zeroTerminated(name))]),
    tolerate: ["ENODEV"],
  };
}

export function findLink(socket: NetlinkSocket, name: string): Link | undefined {
  const answer = socket.get({
    subject: `link ${name}`,
    type: type.getLink,
    flags: 0,
    body: Buffer.concat([header(0), attribute(link.name, zeroTerminated(name))]),
  });
  return answer === undefined ? undefined : linkOf(answer);
}

export function listLinks(socket: NetlinkSocket): Link[] {
  return socket.dump({ subject: "links", type: type.getLink, flags: 0, body: header(0) }).map(linkOf);
}

function makeAndSet(name: string, kind: string, data: Buffer, settings: LinkSettings): Message[] {
  const body = Buffer.concat([
    header(0),
    attribute(link.name, zeroTerminated(name)),
    nested(link.linkInfo, attribute(info.kind, Buffer.from(kind)), data),
    ...settingsOf({ ...settings, master: undefined, alias: undefined }),
  ]);
  return [
    {
      subject: `link ${name}`,
      type: type.newLink,
      flags: messageFlag.create | messageFlag.exclusive,
      body,
    },
    // What has to hold before it is up.
    setLink(name, {
      ...settings,
      up: undefined,
      mac: undefined,
      mtu: undefined,
      isolated: undefined,
      reflecting: undefined,
    }),
    ...(settings.isolated === true || settings.reflecting === true
      ? [setLink(name, { isolated: settings.isolated, reflecting: settings.reflecting })]
      : []),
    ...(settings.up === true ? [setLink(name, { up: true })] : []),
  ];
}

function settingsOf(
  settings: {
    readonly [Name in "mac" | "mtu" | "alias" | "master" | "group" | "largestSegment4"]?:
      | LinkSettings[Name]
      | undefined;
  },
): Buffer[] {
  const { mac, mtu, alias, master, group, largestSegment4 } = settings;
  return [
    ...(mac === undefined ? [] : [attribute(link.address, macBytes(mac))]),
    ...(mtu === undefined ? [] : [attribute(link.mtu, u32(mtu))]),
    ...(alias === undefined ? [] : [attribute(link.alias, Buffer.from(alias))]),
    ...(master === undefined ? [] : [attribute(link.master, u32(master))]),
    ...(group === undefined ? [] : [attribute(link.group, u32(group))]),
    ...(largestSegment4 === undefined ? [] : [attribute(link.largestSegment4, u32(largestSegment4))]),
  ];
}

function portSettingsOf({ isolated, reflecting }: LinkSettings): Buffer[] {
  const data = [
    ...(reflecting === true ? [attribute(bridgePort.mode, u8(1))] : []),
    ...(isolated === true ? [attribute(bridgePort.isolated, u8(1))] : []),
  ];
  if (data.length === 0) return [];
  const kind = attribute(info.slaveKind, Buffer.from("bridge"));
  return [nested(link.linkInfo, kind, nested(info.slaveData, ...data))];
}

/** struct ifinfomsg */
function header(index: number, up?: boolean): Buffer {
  const buffer = Buffer.alloc(16);
  buffer.writeInt32LE(index, 4);
  if (up !== undefined) {
    buffer.writeUInt32LE(up ? flagUp : 0, 8);
    buffer.writeUInt32LE(flagUp, 12);
  }
  return buffer;
}

function linkOf({ body }: Answer): Link {
  const found = attributesOf(body, 16);
  const master = found.get(link.master);
  const details = attributesOf(found.get(link.linkInfo) ?? Buffer.alloc(0));
  const mac = found.get(link.address);
  return {
    index: body.readInt32LE(4),
    up: (body.readUInt32LE(8) & flagUp) !== 0,
    name: textAttribute(found.get(link.name)),
    alias: textAttribute(found.get(link.alias)),
    mac: mac === undefined ? "" : [...mac].map((byte) => byte.toString(16).padStart(2, "0")).join(":"),
    mtu: found.get(link.mtu)?.readUInt32LE(0) ?? 0,
    master: master?.readUInt32LE(0) ?? 0,
    largestSegment4: found.get(link.largestSegment4)?.readUInt32LE(0) ?? 0,
    kind: textAttribute(details.get(info.kind)),
    traffic: trafficOf(found.get(link.statistics)),
  };
}

/** struct rtnl_link_stats64 */
function trafficOf(bytes: Buffer | undefined): Traffic {
  const at = (index: number): number =>
    bytes === undefined || bytes.length < (index + 1) * 8 ? 0 : Number(bytes.readBigUInt64LE(index * 8));
  return {
    receivedPackets: at(0),
    sentPackets: at(1),
    receivedBytes: at(2),
    sentBytes: at(3),
    receiveErrors: at(4),
    sendErrors: at(5),
    receiveDropped: at(6),
    sendDropped: at(7),
  };
}

export function macBytes(mac: string): Buffer {
  return Buffer.from(mac.replaceAll(":", ""), "hex");
}
