/**
 * The kernel's table of connections (linux/netfilter/nfnetlink_conntrack.h): what flows there are, and forgetting some. Once a
 * flow has been seen, its packets go where its first one went, whatever the packet filter says by now.
 */
import {
  type Answer,
  attribute,
  attributesOf,
  type Message,
  NetlinkSocket,
  nested,
  u8,
  u32,
} from "./netlink.ts";

const netfilter = 12;
const subsystem = 1;
const operation = { get: 1, delete: 2 } as const;
const connection = { original: 1, reply: 2, id: 12, filter: 25 } as const;
const tuple = { ip: 1, protocol: 2, zone: 3 } as const;
const ip = { source4: 1, destination4: 2, source6: 3, destination6: 4 } as const;
const protocolPart = { number: 1, sourcePort: 2, destinationPort: 3 } as const;
const filterOriginal = 1;
const filterByProtocol = 1 << 3;
const familyOf = { 4: 2, 6: 10 } as const;

/** One direction of a flow. */
export interface Tuple {
  /** 4 or 16 bytes. */
  readonly source: Buffer;
  readonly destination: Buffer;
  readonly sourcePort: number;
  readonly destinationPort: number;
}

export interface Flow {
  readonly family: 4 | 6;
  /** Of its first packet, as that was sent. */
  readonly original: Tuple;
  /** Of the answers, before addresses are put back. */
  readonly reply: Tuple;
  /** What the kernel knows it by. */
  readonly raw: { readonly tuple: Buffer; readonly id: Buffer };
}

export class ConnectionTracking implements Disposable {
  readonly #socket = new NetlinkSocket(netfilter);

  /** `protocol`: its number in IP's header. The kernel (from 5.8 on) leaves those of others out. */
  flows(family: 4 | 6, protocol: number): Flow[] {
    const asked = nested(tuple.protocol, attribute(protocolPart.number, u8(protocol)));
    const answers = this.#socket.dump(
      message(
        "flows",
        operation.get,
        family,
        nested(connection.original, asked),
        nested(connection.filter, attribute(filterOriginal, u32(filterByProtocol))),
      ),
    );
    return answers.flatMap((answer) => flowOf(answer, family, protocol) ?? []);
  }

  /** One that has ended meanwhile, or was followed by another of the same ends, is left alone. */
  forget(flows: readonly Flow[]): void {
    this.#socket.request(
      flows.map(({ family, raw }) => ({
        ...message(
          "flow",
          operation.delete,
          family,
          nested(connection.original, raw.tuple),
          attribute(connection.id, raw.id),
        ),
        tolerate: ["ENOENT"],
      })),
    );
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
  }
}

function message(subject: string, kind: number, family: 4 | 6, ...attributes: readonly Buffer[]): Message {
  // struct nfgenmsg
  const header = Buffer.of(familyOf[family], 0, 0, 0);
  return { subject, type: (subsystem << 8) | kind, flags: 0, body: Buffer.concat([header, ...attributes]) };
}

function flowOf({ body }: Answer, family: 4 | 6, protocol: number): Flow | undefined {
  if (body[0] !== familyOf[family]) return undefined;
  const found = attributesOf(body, 4);
  const [raw, replyRaw, id] = [connection.original, connection.reply, connection.id].map((type) =>
    found.get(type),
  );
  if (raw === undefined || replyRaw === undefined || id === undefined) return undefined;
  const [original, reply] = [tupleOf(raw, protocol), tupleOf(replyRaw, protocol)];
  return original === undefined || reply === undefined
    ? undefined
    : { family, original, reply, raw: { tuple: Buffer.from(raw), id: Buffer.from(id) } };
}

function tupleOf(raw: Buffer, protocol: number): Tuple | undefined {
  const parts = attributesOf(raw);
  const addresses = attributesOf(parts.get(tuple.ip) ?? Buffer.alloc(0));
  const ports = attributesOf(parts.get(tuple.protocol) ?? Buffer.alloc(0));
  const source = addresses.get(ip.source4) ?? addresses.get(ip.source6);
  const destination = addresses.get(ip.destination4) ?? addresses.get(ip.destination6);
  const [sourcePort, destinationPort] = [protocolPart.sourcePort, protocolPart.destinationPort].map((part) =>
    ports.get(part)?.readUInt16BE(0),
  );
  if (ports.get(protocolPart.number)?.[0] !== protocol) return undefined;
  if (source === undefined || destination === undefined) return undefined;
  return sourcePort === undefined || destinationPort === undefined
    ? undefined
    : { source, destination, sourcePort, destinationPort };
}
