/** Traffic control of the kernel (tc(8), linux/pkt_sched.h, linux/pkt_cls.h): where packets go, and how fast. */
import { attribute, type Message, messageFlag, nested, u32, zeroTerminated } from "./netlink.ts";

const type = { newQueue: 36, deleteQueue: 37, newFilter: 44 } as const;
const control = { kind: 1, options: 2 } as const;
const ingressParent = 0xffff_fff1;
const ingressHandle = 0xffff_0000;
/** Where filters of a queue of the kind clsact are: of packets that come in, and of those that go out. */
const filterParent = { received: 0xffff_fff2, sent: 0xffff_fff3 } as const;
const rootParent = 0xffff_ffff;
const firstHandle = 0x1_0000;
const allProtocols = 0x0003;
const u32Attribute = { selector: 5, action: 7 } as const;
const action = { kind: 1, options: 2 } as const;
const mirredParameters = 2;
const actionStolen = 4;
const egressRedirect = 1;
const selectorTerminal = 1;

/** Everything that one interface receives goes out of the other, and the other way round. */
export function splice(one: number, other: number): Message[] {
  return [
    ingress(one),
    ingress(other),
    redirect(one, other, ingressHandle),
    redirect(other, one, ingressHandle),
  ];
}

/** Takes away where the interface's packets went, wherever that was. */
export function unsplice(index: number): Message {
  return {
    subject: `ingress of interface ${index}`,
    type: type.deleteQueue,
    flags: 0,
    body: filterQueue(index, "ingress"),
    tolerate: ["ENOENT", "EINVAL"],
  };
}

/** What passes an interface, in one direction or both, goes through the queues of others, and then on where it was going. */
export function detour(
  index: number,
  through: { readonly received?: number | undefined; readonly sent?: number | undefined },
): Message[] {
  const { received, sent } = through;
  return [
    {
      subject: `filters of interface ${index}`,
      type: type.newQueue,
      flags: messageFlag.create | messageFlag.exclusive,
      body: filterQueue(index, "clsact"),
    },
    ...(received === undefined ? [] : [redirect(index, received, filterParent.received)]),
    ...(sent === undefined ? [] : [redirect(index, sent, filterParent.sent)]),
  ];
}

/** Takes a detour away, if there is one. */
export function noDetour(index: number): Message {
  return {
    subject: `filters of interface ${index}`,
    type: type.deleteQueue,
    flags: 0,
    body: filterQueue(index, "clsact"),
    tolerate: ["ENOENT", "EINVAL"],
  };
}

const bucket = { parameters: 1, burst: 6 } as const;
const linkLayerEthernet = 1;
/** Bytes that may go at once, at least: larger packets than this are parted if they can be, and lost if not. */
const smallestBurst = 16 * 1024;
const shortestQueue = 32 * 1024;

/** Lets an interface send at a rate (tc-tbf(8)); in place of the queue it had. `largestPacket`: bytes. */
export function limitRate(index: number, bitsPerSecond: number, largestPacket: number): Message {
  const bytesPerSecond = Math.round(bitsPerSecond / 8);
  // 20 ms of traffic at once, and 50 ms of it wait.
  const burst = Math.max(smallestBurst, Math.ceil(bytesPerSecond / 50), largestPacket + 256);
  const queue = burst + Math.max(shortestQueue, Math.ceil(bytesPerSecond / 20));
  // struct tc_tbf_qopt: two of struct tc_ratespec, then bytes that may wait, burst and mtu, of which burst is told apart.
  const parameters = Buffer.alloc(36);
  parameters[1] = linkLayerEthernet;
  parameters.writeUInt32LE(Math.min(bytesPerSecond, 0xffff_ffff), 8);
  parameters.writeUInt32LE(queue, 24);
  return {
    subject: `rate of interface ${index}`,
    type: type.newQueue,
    flags: messageFlag.create | messageFlag.replace,
    body: Buffer.concat([
      controlHeader(index, firstHandle, rootParent, 0),
      attribute(control.kind, zeroTerminated("tbf")),
      nested(control.options, attribute(bucket.parameters, parameters), attribute(bucket.burst, u32(burst))),
    ]),
  };
}

function ingress(index: number): Message {
  return {
    subject: `ingress of interface ${index}`,
    type: type.newQueue,
    flags: messageFlag.create | messageFlag.exclusive,
    body: filterQueue(index, "ingress"),
    tolerate: ["EEXIST"],
  };
}

function redirect(from: number, to: number, parent: number): Message {
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
      controlHeader(from, 0, parent, (1 << 16) | (allProtocols << 8)),
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

/** What filters of an interface's packets are at: of those that come in, or (clsact) of those that go out as well. */
function filterQueue(index: number, kind: "ingress" | "clsact"): Buffer {
  return Buffer.concat([
    controlHeader(index, ingressHandle, ingressParent, 0),
    attribute(control.kind, zeroTerminated(kind)),
  ]);
}

/** struct tcmsg */
function controlHeader(index: number, handle: number, parent: number, information: number): Buffer {
  return Buffer.concat([u32(0), u32(index), u32(handle), u32(parent), u32(information)]);
}
