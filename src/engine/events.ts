/**
 * The stream of what happens, in the form of Docker's `/events`. Bounded: the last events are kept for clients
 * that ask for the past (`since`), and a subscriber that reads too slowly loses the oldest ones, never memory.
 */
import { nanosecondsOf, now } from "./clock.ts";

export interface EngineEvent {
  readonly type: "container" | "image" | "network" | "volume";
  /** Docker's word, e.g. `die` or `exec_start: sh -c true`. */
  readonly action: string;
  readonly id: string;
  readonly attributes: Readonly<Record<string, string>>;
  /** Nanoseconds since the epoch. */
  readonly timeNano: bigint;
}

const kept = 256;
const queueLimit = 1024;

export class Events {
  readonly #past: EngineEvent[] = [];
  readonly #subscribers = new Set<EventQueue>();

  emit(
    type: EngineEvent["type"],
    action: string,
    id: string,
    attributes: Readonly<Record<string, string>>,
  ): void {
    const event: EngineEvent = { type, action, id, attributes, timeNano: nanosecondsOf(now()) };
    this.#past.push(event);
    if (this.#past.length > kept) this.#past.shift();
    for (const subscriber of this.#subscribers) subscriber.push(event);
  }

  /** Kept events at or after `since`, oldest first. */
  past(since: bigint): EngineEvent[] {
    return this.#past.filter((event) => event.timeNano >= since);
  }

  /** Events from now on, until `signal` aborts. Subscribed when this returns, not at the first read. */
  subscribe(signal: AbortSignal): AsyncIterable<EngineEvent> {
    const queue = new EventQueue();
    if (signal.aborted) queue.close();
    else this.#subscribers.add(queue);
    signal.addEventListener(
      "abort",
      () => {
        this.#subscribers.delete(queue);
        queue.close();
      },
      { once: true },
    );
    return queue;
  }
}

class EventQueue implements AsyncIterable<EngineEvent> {
  readonly #waiting: EngineEvent[] = [];
  #closed = false;
  #wake: (() => void) | undefined;

  push(event: EngineEvent): void {
    if (this.#waiting.length >= queueLimit) this.#waiting.shift();
    this.#waiting.push(event);
    this.#wake?.();
  }

  close(): void {
    this.#closed = true;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<EngineEvent> {
    for (;;) {
      const event = this.#waiting.shift();
      if (event !== undefined) yield event;
      else if (this.#closed) return;
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
    }
  }
}
