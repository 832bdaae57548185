/** Trying again, with pauses that grow, what may fare better later. */
import { RequestFailure } from "./failure.ts";
import type { Patience } from "./settings.ts";

/** Counts attempts that brought nothing. */
export class Retries {
  readonly #patience: Patience;
  readonly #signal: AbortSignal;
  readonly #onWait: (seconds: number) => void;
  #failed = 0;
  #reached = false;

  /** `onWait` is told of pauses that people notice. */
  constructor(patience: Patience, signal: AbortSignal, onWait: (seconds: number) => void = () => undefined) {
    this.#patience = patience;
    this.#signal = signal;
    this.#onWait = onWait;
  }

  /** The last attempt brought something: the counting begins anew. */
  progressed(): void {
    this.#failed = 0;
    this.#reached = true;
  }

  /** Waits before the next attempt; throws `error` when there shall be none. */
  async after(error: unknown): Promise<void> {
    this.#failed++;
    if (!(error instanceof RequestFailure) || error.kind === "refused") throw error;
    // A host that never answered has most likely a wrong name.
    if (error.kind === "unreachable" && !this.#reached) throw error;
    if (this.#failed >= this.#patience.attempts) throw error;
    if (error.wait !== undefined && error.wait > this.#patience.longestWait) throw error;
    const own = this.#patience.backoff * 2 ** (this.#failed - 1);
    // Many clients that were turned away at once shall not come back at once.
    const wait = Math.max(error.wait ?? 0, own * (0.75 + Math.random() / 2));
    if (wait >= 1000) this.#onWait(Math.ceil(wait / 1000));
    await pause(wait, this.#signal);
  }
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", abort);
      resolve();
    }, milliseconds);
    signal.addEventListener("abort", abort, { once: true });
  });
}

/** Milliseconds that `Retry-After` asks for: seconds, or a date. Source: RFC 9110 section 10.2.3. */
export function retryAfter(value: string | undefined, now = Date.now()): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d{1,9}$/.test(value.trim())) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
