/** A bound on how much goes on at once, first come, first served. */

export class Places {
  #free: number;
  readonly #queue = new Set<() => void>();

  constructor(count: number) {
    this.#free = count;
  }

  /** Runs `work` as soon as there is a place for it. Throws the signal's reason when that comes first. */
  async take<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await this.#turn(signal);
    try {
      signal.throwIfAborted();
      return await work();
    } finally {
      // The place goes to the next in line, or is free.
      const [next] = this.#queue;
      if (next === undefined) this.#free++;
      else {
        this.#queue.delete(next);
        next();
      }
    }
  }

  async #turn(signal: AbortSignal): Promise<void> {
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
export async function unlessAborted<T>(
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
