/**
 * Elements of nftables' sets (linux/netfilter/nf_tables.h), put in and taken out through netlink: a fraction of a
 * millisecond, where the nft program takes several. The sets themselves are made by nft.
 */
import {
  attribute,
  attributesOf,
  listAttributes,
  type Message,
  messageFlag,
  NetlinkSocket,
  nested,
  zeroTerminated,
} from "./netlink.ts";
import { nftFamily, nftMessage, setElement } from "./nft-words.ts";

export interface SetElement {
  /** Parts of the key, each in network order; a set of several types has as many. */
  readonly key: readonly Buffer[];
  /** Milliseconds until the kernel takes it out; undefined: never. */
  readonly timeout?: number | undefined;
}

export interface SetPlace {
  readonly family: keyof typeof nftFamily;
  readonly table: string;
  readonly set: string;
}

export interface SetChange extends SetPlace {
  readonly do: "add" | "delete";
  readonly elements: readonly SetElement[];
}

/** An element that is there. */
export interface FoundElement {
  readonly key: Buffer;
  /** Milliseconds that are left; undefined: it stays. */
  readonly expires: number | undefined;
}

/** An attribute's length is a number of 16 bits. */
const mostInMessage = 400;

export class NftElements implements Disposable {
  readonly #socket = new NetlinkSocket(nftMessage.protocol);

  /** All of the changes or none. What is there may be added, and what is not may be deleted. Throws `ENOENT` without the set. */
  change(changes: readonly SetChange[]): void {
    const messages = changes.flatMap((change) => [
      ...elementMessages(change, nftMessage.newElements, messageFlag.create),
      ...(change.do === "delete" ? elementMessages(change, nftMessage.deleteElements, 0) : []),
    ]);
    this.#socket.transact(batchMessage(nftMessage.batchBegin), messages, batchMessage(nftMessage.batchEnd));
  }

  /** Empty when there is no such set. */
  list(place: SetPlace): FoundElement[] {
    try {
      return this.#socket
        .dump({ subject: place.set, type: nftMessage.getElements, flags: 0, body: placeBody(place) })
        .flatMap(({ body }) => elementsOf(body));
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
  }
}

/** As the kernel compares keys: of several parts, each is filled up to a multiple of four bytes. */
export function keyBytes(parts: readonly Buffer[]): Buffer {
  if (parts.length === 1) return Buffer.concat(parts);
  return Buffer.concat(parts.flatMap((part) => [part, Buffer.alloc((4 - (part.length % 4)) % 4)]));
}

/** An interface's name as nftables compares it. */
export function interfaceKey(name: string): Buffer {
  const buffer = Buffer.alloc(16);
  buffer.write(name, 0, 15, "latin1");
  return buffer;
}

function elementMessages(change: SetChange, type: number, flags: number): Message[] {
  const messages: Message[] = [];
  for (let at = 0; at < change.elements.length; at += mostInMessage) {
    const list = nested(
      setElement.elements,
      ...change.elements.slice(at, at + mostInMessage).map((element) => encodeElement(element, type)),
    );
    messages.push({
      subject: `set ${change.set}`,
      type,
      flags,
      body: Buffer.concat([placeBody(change), list]),
    });
  }
  return messages;
}

function encodeElement({ key, timeout }: SetElement, type: number): Buffer {
  const milliseconds = Buffer.alloc(8);
  milliseconds.writeBigUInt64BE(BigInt(Math.max(1, Math.round(timeout ?? 0))));
  return nested(
    setElement.listed,
    nested(setElement.key, attribute(setElement.value, keyBytes(key))),
    ...(timeout === undefined || type !== nftMessage.newElements
      ? []
      : [attribute(setElement.timeout, milliseconds)]),
  );
}

/** struct nfgenmsg, and which set of which table. */
function placeBody({ family, table, set }: SetPlace): Buffer {
  return Buffer.concat([
    Buffer.of(nftFamily[family], 0, 0, 0),
    attribute(setElement.listTable, zeroTerminated(table)),
    attribute(setElement.listSet, zeroTerminated(set)),
  ]);
}

function batchMessage(type: number): Message {
  return {
    subject: "nftables' transaction",
    type,
    flags: 0,
    body: Buffer.of(0, 0, 0, nftMessage.subsystem),
  };
}

function elementsOf(body: Buffer): FoundElement[] {
  const list = attributesOf(body, 4).get(setElement.elements) ?? Buffer.alloc(0);
  const found: FoundElement[] = [];
  for (const [, listed] of listAttributes(list)) {
    const element = attributesOf(listed);
    const key = attributesOf(element.get(setElement.key) ?? Buffer.alloc(0)).get(setElement.value);
    const expires = element.get(setElement.expiration)?.readBigUInt64BE(0);
    if (key !== undefined)
      found.push({ key: Buffer.from(key), expires: expires === undefined ? undefined : Number(expires) });
  }
  return found;
}
