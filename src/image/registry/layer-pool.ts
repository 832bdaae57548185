/** Bounds how many layers are fetched at once, and lets pulls that want the same layer at the same time share it. */
import type { Digest } from "../image-store.ts";
import type { LayerRecord } from "../layer/ingest.ts";

const maxAtOnce = 3;

export class LayerPool {
  #busy = 0;
  readonly #queue: (() => void)[] = [];
  readonly #inFlight = new Map<Digest, Promise<LayerRecord>>();

  /** Runs `fetch`, or waits for the one that is on its way. One that fails for another pull is tried again for this one. */
  async share(blob: Digest, signal: AbortSignal, fetch: () => Promise<LayerRecord>): Promise<LayerRecord> {
    for (;;) {
      const other = this.#inFlight.get(blob);
      if (other === undefined) break;
      const layer = await other.catch(() => undefined);
      if (layer !== undefined) return layer;
      signal.throwIfAborted();
    }
    const own = this.#inTurn(signal, fetch).finally(() => this.#inFlight.delete(blob));
    this.#inFlight.set(blob, own);
    return own;
  }

  async #inTurn(signal: AbortSignal, fetch: () => Promise<LayerRecord>): Promise<LayerRecord> {
    if (this.#busy >= maxAtOnce) await new Promise<void>((resolve) => this.#queue.push(resolve));
    else this.#busy++;
    try {
      signal.throwIfAborted();
      return await fetch();
    } finally {
      // The place goes to the next in line, or is free.
      const next = this.#queue.shift();
      if (next === undefined) this.#busy--;
      else next();
    }
  }
}
