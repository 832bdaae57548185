/**
 * DNS messages (RFC 1035, section 4): the question of a query, answers of a few kinds, and the times to live of an
 * answer that is passed on. Everything else of a message is carried unread.
 */
export const recordType = { a: 1, ptr: 12, aaaa: 28, any: 255 } as const;
export const responseCode = {
  ok: 0,
  formatError: 1,
  serverFailure: 2,
  noSuchName: 3,
  notImplemented: 4,
  refused: 5,
} as const;

export const headerBytes = 12;
const classInternet = 1;
const pointerBits = 0xc0;
const optionRecord = 41;
/** Bytes of an answer that a client without EDNS takes by UDP. */
const plainUdpBytes = 512;

export interface Query {
  readonly id: number;
  /** In lower case, without the last dot. */
  readonly name: string;
  readonly type: number;
  readonly recursionDesired: boolean;
  /** End of the question in the message. */
  readonly questionEnd: number;
  /** Bytes that the client takes by UDP. */
  readonly udpBytes: number;
}

/** Undefined for what is no query, or none of the kind that everybody sends: one question, of class IN. */
export function parseQuery(message: Buffer): Query | undefined {
  if (message.length < headerBytes) return undefined;
  const flags = message.readUInt16BE(2);
  const isQuery = (flags & 0x8000) === 0 && (flags & 0x7800) === 0;
  if (!isQuery || message.readUInt16BE(4) !== 1) return undefined;
  const name = readName(message, headerBytes);
  if (name === undefined || name.end + 4 > message.length) return undefined;
  if (message.readUInt16BE(name.end + 2) !== classInternet) return undefined;
  const questionEnd = name.end + 4;
  return {
    id: message.readUInt16BE(0),
    name: name.text.toLowerCase(),
    type: message.readUInt16BE(name.end),
    recursionDesired: (flags & 0x0100) !== 0,
    questionEnd,
    udpBytes: udpBytesOf(message, questionEnd),
  };
}

function udpBytesOf(message: Buffer, from: number): number {
  const additional = message.readUInt16BE(10);
  // Without answers in a query, what follows the question is the additional section.
  if (additional === 0 || message[from] !== 0 || from + 5 > message.length) return plainUdpBytes;
  if (message.readUInt16BE(from + 1) !== optionRecord) return plainUdpBytes;
  return Math.max(plainUdpBytes, message.readUInt16BE(from + 3));
}

/** A name and where it ends; labels are text, as far as host names go. Compression leads backwards only. */
function readName(message: Buffer, start: number): { text: string; end: number } | undefined {
  const labels: string[] = [];
  let end: number | undefined;
  let length = 0;
  for (let at = start, limit = start; ; ) {
    const size = message[at];
    if (size === undefined) return undefined;
    if (size === 0) return { text: labels.join("."), end: end ?? at + 1 };
    if ((size & pointerBits) === pointerBits) {
      if (at + 2 > message.length) return undefined;
      const target = message.readUInt16BE(at) & 0x3fff;
      end ??= at + 2;
      if (target >= limit) return undefined;
      at = limit = target;
      continue;
    }
    if ((size & pointerBits) !== 0 || at + 1 + size > message.length) return undefined;
    length += size + 1;
    if (length > 255) return undefined;
    labels.push(message.toString("latin1", at + 1, at + 1 + size));
    at += size + 1;
  }
}

export interface Record {
  readonly type: number;
  readonly data: Buffer;
}

/** An answer of our own to `query`, whose question it repeats. */
export function answer(
  message: Buffer,
  query: Query,
  records: readonly Record[],
  options: { readonly code?: number; readonly ttl: number; readonly limit: number },
): Buffer {
  const question = message.subarray(headerBytes, query.questionEnd);
  const fitting: Buffer[] = [];
  let size = headerBytes + question.length;
  for (const record of records) {
    const encoded = encodeRecord(record, options.ttl);
    if (size + encoded.length > options.limit) break;
    size += encoded.length;
    fitting.push(encoded);
  }
  const header = Buffer.alloc(headerBytes);
  header.writeUInt16BE(query.id, 0);
  const truncated = fitting.length < records.length ? 0x0200 : 0;
  const recursion = query.recursionDesired ? 0x0100 : 0;
  // An authoritative answer, recursion available.
  header.writeUInt16BE(0x8480 | truncated | recursion | (options.code ?? responseCode.ok), 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(fitting.length, 6);
  return Buffer.concat([header, question, ...fitting]);
}

function encodeRecord({ type, data }: Record, ttl: number): Buffer {
  const head = Buffer.alloc(12);
  // The name is the question's.
  head.writeUInt16BE(0xc000 | headerBytes, 0);
  head.writeUInt16BE(type, 2);
  head.writeUInt16BE(classInternet, 4);
  head.writeUInt32BE(ttl, 6);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}

/** Whether a name can be written: labels of at most 63 bytes, 255 in all. */
export function fitsMessage(name: string): boolean {
  return name.length <= 253 && name.split(".").every(({ length }) => length > 0 && length <= 63);
}

/** Whether the name of the question is its text's: no label has a dot in it, and nothing is abbreviated. */
export function isAsItReads(message: Buffer, { name, questionEnd }: Query): boolean {
  const written = message.toString("latin1", headerBytes, questionEnd - 4).toLowerCase();
  return fitsMessage(name) && written === encodeName(name).toString("latin1");
}

export function encodeName(name: string): Buffer {
  const labels = name.split(".").map((label) => Buffer.from(label, "latin1"));
  return Buffer.concat([...labels.flatMap((label) => [Buffer.of(label.length), label]), Buffer.of(0)]);
}

/** `4.3.2.1.in-addr.arpa` and its like as an address in text; undefined for every other name. */
export function reverseAddress(name: string): string | undefined {
  const four = /^(\d+)\.(\d+)\.(\d+)\.(\d+)\.in-addr\.arpa$/.exec(name);
  if (four !== null) return four.slice(1).reverse().join(".");
  const six = /^((?:[0-9a-f]\.){32})ip6\.arpa$/.exec(name);
  if (six === null) return undefined;
  const digits = (six[1] ?? "").replaceAll(".", "").split("").reverse().join("");
  return digits.replace(/(.{4})(?!$)/g, "$1:");
}

export interface PassedRecord {
  readonly type: number;
  readonly data: Buffer;
  readonly ttl: number;
  readonly ttlOffset: number;
  readonly section: "answer" | "authority" | "additional";
}

/** The records of an answer, with the places of their times to live. Undefined when it is malformed. */
export function recordsOf(message: Buffer): PassedRecord[] | undefined {
  if (message.length < headerBytes) return undefined;
  let at = headerBytes;
  for (let left = message.readUInt16BE(4); left > 0; left -= 1) {
    const name = readName(message, at);
    if (name === undefined) return undefined;
    at = name.end + 4;
  }
  const records: PassedRecord[] = [];
  for (const [offset, section] of [
    [6, "answer"],
    [8, "authority"],
    [10, "additional"],
  ] as const) {
    for (let left = message.readUInt16BE(offset); left > 0; left -= 1) {
      const name = readName(message, at);
      if (name === undefined || name.end + 10 > message.length) return undefined;
      const length = message.readUInt16BE(name.end + 8);
      const start = name.end + 10;
      if (start + length > message.length) return undefined;
      const type = message.readUInt16BE(name.end);
      const ttl = message.readUInt32BE(name.end + 4);
      const data = message.subarray(start, start + length);
      if (type !== optionRecord) records.push({ type, data, ttl, ttlOffset: name.end + 4, section });
      at = start + length;
    }
  }
  return records;
}
