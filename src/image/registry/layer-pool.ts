/** Bounds how many layers are fetched at once, and lets pulls that want the same layer at the same time share it. */
import type { Digest } from "../image-store.ts";
import type { LayerRecord } from "../layer/ingest.ts";

const maxAtOnce = 3;

export class LayerPool {
  #busy = 0;
  readonly #queue = new Set<() => void>();
  readonly #inFlight = new Map<Digest, Promise<LayerRecord>>();

  /**
   * Runs `fetch`, or waits for the one that is on its way. One that fails for another pull is tried again for this
   * one. An aborted pull waits for nobody.
   */
  async share(blob: Digest, signal: AbortSignal, fetch: () => Promise<LayerRecord>): Promise<LayerRecord> {
    for (;;) {
      const other = this.#inFlight.get(blob);
      if (other === undefined) break;
      const layer = await unlessAborted<LayerRecord | undefined>(signal, (resolve) => {
        other.then(resolve, () => resolve(undefined));
      });
      if (layer !== undefined) return layer;
    }
    const own = this.#inTurn(signal, fetch).finally(() => this.#inFlight.delete(blob));
    this.#inFlight.set(blob, own);
    return own;
  }

  async #inTurn(signal: AbortSignal, fetch: () => Promise<LayerRecord>): Promise<LayerRecord> {
    if (this.#busy < maxAtOnce) this.#busy++;
    else await this.#place(signal);
    try {
      signal.throwIfAborted();
      return await fetch();
    } finally {
      // The place goes to the next in line, or is free.
      const [next] = this.#queue;
      if (next === undefined) this.#busy--;
      else {
        this.#queue.delete(next);
        next();
      }
    }
  }

  async #place(signal: AbortSignal): Promise<void> {
    let given = false;
    let take = (): void => undefined;
    try {
      await unlessAborted<void>(signal, (resolve) => {
        take = () => {
          given = true;
          resolve();
        };
        this.#queue.add(take);
      });
    } catch (error) {
      // A place that came at the last moment is used, to be passed on.
      if (!given) {
        this.#queue.delete(take);
        throw error;
      }
    }
  }
}

/** What `start` gives to its argument; throws the signal's reason as soon as that is there. */
async function unlessAborted<T>(
  signal: AbortSignal,
  start: (resolve: (value: T) => void) => void,
): Promise<T> {
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const abort = (): void => reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    start(resolve);
    return await promise;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
