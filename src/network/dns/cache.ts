/** Answers of other resolvers, kept for as long as they say, at most a few minutes, and not too many of them. */
import { recordsOf } from "./message.ts";

interface Entry {
  readonly message: Buffer;
  readonly storedAt: number;
  readonly expiresAt: number;
}

const mostEntries = 2048;
const largestMessage = 4096;
const longestSeconds = 300;

export class AnswerCache {
  /** In order of use: the first was not asked for the longest. */
  readonly #entries = new Map<string, Entry>();

  get size(): number {
    return this.#entries.size;
  }

  /** An answer with the times to live that are left, for a query of this id. */
  get(key: string, id: number, now: number): Buffer | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#entries.delete(key);
    if (now >= entry.expiresAt) return undefined;
    this.#entries.set(key, entry);
    const message = Buffer.from(entry.message);
    message.writeUInt16BE(id, 0);
    const age = Math.floor((now - entry.storedAt) / 1000);
    for (const { ttl, ttlOffset } of recordsOf(message) ?? [])
      message.writeUInt32BE(Math.max(0, ttl - age), ttlOffset);
    return message;
  }

  put(key: string, message: Buffer, now: number): void {
    const seconds = lifeOf(message);
    if (seconds <= 0 || message.length > largestMessage) return;
    this.#entries.delete(key);
    this.#entries.set(key, { message: Buffer.from(message), storedAt: now, expiresAt: now + seconds * 1000 });
    if (this.#entries.size <= mostEntries) return;
    const oldest = this.#entries.keys().next();
    if (oldest.done !== true) this.#entries.delete(oldest.value);
  }
}

/** Seconds: the shortest of its records'. Truncated answers and failures are not kept. */
function lifeOf(message: Buffer): number {
  const flags = message.readUInt16BE(2);
  const code = flags & 0xf;
  if ((flags & 0x0200) !== 0 || (code !== 0 && code !== 3)) return 0;
  const records = recordsOf(message) ?? [];
  if (records.length === 0) return 0;
  return Math.min(longestSeconds, ...records.map(({ ttl }) => ttl));
}
