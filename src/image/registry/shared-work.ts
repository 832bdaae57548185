/** Work that several want at the same time is done once: pulls of images with the same layers, for one. */
import { unlessAborted } from "./places.ts";

interface Running<T, P> {
  readonly outcome: Promise<{ readonly value: T } | undefined>;
  readonly listeners: Set<(progress: P) => void>;
  readonly controller: AbortController;
}

export class SharedWork<T, P> {
  readonly #running = new Map<string, Running<T, P>>();

  /**
   * Does `work`, or joins in what is on its way under the same key; everyone hears of its progress. Work that
   * somebody else began and that fails is tried again. It is aborted when the last one who wants it is, and
   * then has ended when this returns.
   */
  async join(
    key: string,
    signal: AbortSignal,
    onProgress: (progress: P) => void,
    work: (signal: AbortSignal, emit: (progress: P) => void) => Promise<T>,
  ): Promise<T> {
    for (;;) {
      signal.throwIfAborted();
      const other = this.#running.get(key);
      if (other === undefined) break;
      const outcome = await this.#listen(key, other, signal, onProgress);
      if (outcome !== undefined) return outcome.value;
    }
    const listeners = new Set<(progress: P) => void>();
    const controller = new AbortController();
    const emit = (progress: P): void => {
      for (const listener of listeners) listener(progress);
    };
    let failure: unknown;
    // Begun when there is somebody to hear of it.
    const begun = Promise.resolve().then(() => work(controller.signal, emit));
    const outcome = begun.then(
      (value) => ({ value }),
      (error: unknown) => {
        failure = error;
        return undefined;
      },
    );
    const own: Running<T, P> = {
      outcome: outcome.finally(() => this.#forget(key, own)),
      listeners,
      controller,
    };
    this.#running.set(key, own);
    const done = await this.#listen(key, own, signal, onProgress);
    if (done === undefined) throw failure;
    return done.value;
  }

  async #listen(
    key: string,
    running: Running<T, P>,
    signal: AbortSignal,
    onProgress: (progress: P) => void,
  ): Promise<{ readonly value: T } | undefined> {
    // The same function may listen for two.
    const listener = (progress: P): void => onProgress(progress);
    running.listeners.add(listener);
    try {
      return await unlessAborted<{ readonly value: T } | undefined>(signal, (resolve) => {
        void running.outcome.then(resolve);
      });
    } catch (error) {
      running.listeners.delete(listener);
      if (running.listeners.size === 0) {
        this.#forget(key, running);
        running.controller.abort(error);
        await running.outcome;
      }
      throw error;
    } finally {
      running.listeners.delete(listener);
    }
  }

  #forget(key: string, running: Running<T, P>): void {
    if (this.#running.get(key) === running) this.#running.delete(key);
  }
}
