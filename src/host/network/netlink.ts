/**
 * Netlink (netlink(7)): the kernel's interface for links, addresses, routes and packet filters. Messages are built
 * as plain bytes; a socket sends several at once and hands back the kernel's verdict on each.
 *
 * A socket belongs to the network namespace it was opened in, wherever its owner goes later.
 */
import { ptr } from "bun:ffi";
import { closeDescriptor } from "../descriptor.ts";
import { check, libc } from "../libc.ts";
import { SystemError } from "../system-error.ts";

const familyNetlink = 16;
const rawSocket = 3;
const closeOnExec = 0o2000000;
const solSocket = 1;
const receiveTimeout = 20;
const receiveBuffer = 8;
const headerBytes = 16;

/** Flags of a message, linux/netlink.h. */
export const messageFlag = {
  request: 0x1,
  acknowledge: 0x4,
  dump: 0x300,
  replace: 0x100,
  exclusive: 0x200,
  create: 0x400,
  append: 0x800,
} as const;

const controlType = { error: 2, done: 3 } as const;

/** Seconds until the kernel has answered; it does so before a send returns, so this is for what cannot be. */
const patience = 5;

export interface Message {
  /** What it is about, for errors: `link hull0`. */
  readonly subject: string;
  readonly type: number;
  /** Besides `request` and `acknowledge`, which every message has. */
  readonly flags: number;
  /** The family's header and its attributes. */
  readonly body: Buffer;
  /** Errors (`EEXIST`, `ENODEV`…) that leave things as wanted. */
  readonly tolerate?: readonly string[];
}

/** One answer of the kernel's: its type and what follows the header. */
export interface Answer {
  readonly type: number;
  readonly body: Buffer;
}

export function attribute(type: number, ...payload: readonly Buffer[]): Buffer {
  const length = 4 + payload.reduce((sum, part) => sum + part.length, 0);
  const buffer = Buffer.alloc(align(length));
  buffer.writeUInt16LE(length, 0);
  buffer.writeUInt16LE(type, 2);
  let offset = 4;
  for (const part of payload) offset += part.copy(buffer, offset);
  return buffer;
}

const nestedFlag = 0x8000;

export function nested(type: number, ...attributes: readonly Buffer[]): Buffer {
  return attribute(type | nestedFlag, ...attributes);
}

export function u8(value: number): Buffer {
  return Buffer.of(value);
}

export function u32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32LE(value >>> 0);
  return buffer;
}

export function zeroTerminated(text: string): Buffer {
  return Buffer.from(`${text}\0`);
}

/** The attributes that follow a family's header of `offset` bytes; malformed ones end the reading. */
export function attributesOf(body: Buffer, offset = 0): Map<number, Buffer> {
  return new Map(listAttributes(body, offset));
}

/** The same, where several may have one type. */
export function* listAttributes(body: Buffer, offset = 0): Generator<[type: number, value: Buffer]> {
  for (let at = offset; at + 4 <= body.length; ) {
    const length = body.readUInt16LE(at);
    if (length < 4 || at + length > body.length) return;
    yield [body.readUInt16LE(at + 2) & 0x3fff, body.subarray(at + 4, at + length)];
    at += align(length);
  }
}

export function textAttribute(value: Buffer | undefined): string {
  return value === undefined ? "" : value.toString("utf8").replace(/\0.*$/s, "");
}

export class NetlinkSocket implements Disposable {
  readonly #descriptor: number;
  #sequence = 1;
  #open = true;

  /** `protocol`: 0 for links and routes (NETLINK_ROUTE). Opened in the calling thread's network namespace. */
  constructor(protocol = 0) {
    this.#descriptor = check(
      libc.socket(familyNetlink, rawSocket | closeOnExec, protocol),
      "socket",
      "netlink",
    );
    const timeout = Buffer.alloc(16);
    timeout.writeBigInt64LE(BigInt(patience), 0);
    libc.setsockopt(this.#descriptor, solSocket, receiveTimeout, ptr(timeout), timeout.length);
    const size = u32(1024 * 1024);
    libc.setsockopt(this.#descriptor, solSocket, receiveBuffer, ptr(size), size.length);
  }

  /**
   * Sends the messages, which the kernel carries out in order, whether earlier ones fail or not. Throws the first
   * error that is not tolerated.
   */
  request(messages: readonly Message[]): void {
    for (let first = 0; first < messages.length; first += mostAtOnce)
      this.#requestSome(messages.slice(first, first + mostAtOnce));
  }

  /** All the answers to a question. */
  dump(message: Message): Answer[] {
    const sequence = this.#send([message], () => messageFlag.dump);
    const answers: Answer[] = [];
    for (;;) {
      for (const answer of this.#receive()) {
        if (answer.sequence !== sequence) continue;
        if (answer.type === controlType.done) return answers;
        if (answer.type === controlType.error) throwFor(message, answer.body);
        else answers.push(answer);
      }
    }
  }

  /** The one answer to a question about one thing; undefined when there is no such thing. */
  get(message: Message): Answer | undefined {
    const sequence = this.#send([message], () => 0);
    for (;;) {
      for (const answer of this.#receive()) {
        if (answer.sequence !== sequence) continue;
        if (answer.type !== controlType.error) return answer;
        const code = -answer.body.readInt32LE(0);
        if ([enoent, enodev, enxio].includes(code)) return undefined;
        throwFor(message, answer.body);
      }
    }
  }

  /**
   * Carries all of the messages out or none, for subsystems that know transactions (nfnetlink): `begin` and `end` go
   * around them. Throws the first error.
   */
  transact(begin: Message, messages: readonly Message[], end: Message): void {
    if (messages.length === 0) return;
    const all = [begin, ...messages, end];
    const first = this.#send(all, (index) =>
      index === 0 || index === all.length - 1 ? 0 : messageFlag.acknowledge,
    );
    this.#await(all, first, messages.length);
  }

  [Symbol.dispose](): void {
    if (!this.#open) return;
    this.#open = false;
    closeDescriptor(this.#descriptor);
  }

  #requestSome(messages: readonly Message[]): void {
    if (messages.length === 0) return;
    const first = this.#send(messages, () => messageFlag.acknowledge);
    this.#await(messages, first, messages.length);
  }

  /** `expected`: how many of the messages ask for an answer. One that does not gets one all the same if it fails. */
  #await(messages: readonly Message[], first: number, expected: number): void {
    let missing = expected;
    let failure: unknown;
    while (missing > 0) {
      for (const answer of this.#receive()) {
        const message = messages[answer.sequence - first];
        if (message === undefined || answer.type !== controlType.error) continue;
        missing -= 1;
        try {
          throwFor(message, answer.body);
        } catch (error) {
          failure ??= error;
        }
      }
    }
    if (failure !== undefined) throw failure;
  }

  /** Returns the first message's sequence number; the others follow. */
  #send(messages: readonly Message[], flagsOf: (index: number) => number): number {
    const first = this.#sequence;
    this.#sequence += messages.length;
    const parts = messages.map((message, index) => encode(message, flagsOf(index), first + index));
    const bytes = Buffer.concat(parts);
    const subject = messages[0]?.subject ?? "netlink";
    check(libc.send(this.#descriptor, ptr(bytes), bytes.length, 0), "send", subject);
    return first;
  }

  #receive(): (Answer & { readonly sequence: number })[] {
    const buffer = Buffer.alloc(64 * 1024);
    const length = check(libc.recv(this.#descriptor, ptr(buffer), buffer.length, 0), "recv", "netlink");
    const answers: (Answer & { readonly sequence: number })[] = [];
    for (let at = 0; at + headerBytes <= length; ) {
      const size = buffer.readUInt32LE(at);
      if (size < headerBytes || at + size > length) break;
      answers.push({
        type: buffer.readUInt16LE(at + 4),
        sequence: buffer.readUInt32LE(at + 8),
        body: buffer.subarray(at + headerBytes, at + size),
      });
      at += align(size);
    }
    return answers;
  }
}

/** Messages in one send: their acknowledgements have to fit into the receive buffer. */
const mostAtOnce = 256;
const enoent = 2;
const enxio = 6;
const enodev = 19;

function encode(message: Message, flags: number, sequence: number): Buffer {
  const header = Buffer.alloc(headerBytes);
  header.writeUInt32LE(headerBytes + message.body.length, 0);
  header.writeUInt16LE(message.type, 4);
  header.writeUInt16LE(messageFlag.request | message.flags | flags, 6);
  header.writeUInt32LE(sequence, 8);
  return Buffer.concat([
    header,
    message.body,
    Buffer.alloc(align(message.body.length) - message.body.length),
  ]);
}

function throwFor(message: Message, body: Buffer): void {
  const errno = -body.readInt32LE(0);
  if (errno === 0) return;
  const error = new SystemError("netlink", message.subject, errno);
  if (message.tolerate?.includes(error.code) !== true) throw error;
}

function align(length: number): number {
  return (length + 3) & ~3;
}
