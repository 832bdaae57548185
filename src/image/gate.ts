/**
 * Keeps collection away from work in progress: a pull's layers belong to no image until its end. Any number of
 * works go on at once; collection waits until none does, and new ones wait for it.
 */
export class Gate {
  #working = 0;
  #collecting: Promise<void> | undefined;
  #wanted = false;
  readonly #collect: () => Promise<void>;

  constructor(collect: () => Promise<void>) {
    this.#collect = collect;
  }

  /**
   * Runs `work`; what became garbage before or during it is collected afterwards when nothing else goes on. That
   * the work has done what it should does not change when collection fails: the next one finds what is left.
   */
  async run<T>(work: () => Promise<T>): Promise<T> {
    while (this.#collecting !== undefined) await this.#collecting;
    this.#working++;
    try {
      return await work();
    } catch (error) {
      // What it stored before it failed belongs to nothing.
      this.#wanted = true;
      throw error;
    } finally {
      this.#working--;
      await this.#collectWhenIdle().catch(() => undefined);
    }
  }

  /** The same for work that goes on until what is returned is disposed of. */
  async enter(): Promise<AsyncDisposable> {
    const { promise: entered, resolve: tellEntered } = Promise.withResolvers<void>();
    const { promise: left, resolve: leave } = Promise.withResolvers<void>();
    const done = this.run(async () => {
      tellEntered();
      await left;
    });
    await entered;
    return {
      async [Symbol.asyncDispose]() {
        leave();
        await done;
      },
    };
  }

  /** Something may have become garbage. Resolves when it was collected or is left to work in progress. */
  async request(): Promise<void> {
    this.#wanted = true;
    await this.#collectWhenIdle();
  }

  /** Waits for a collection that goes on. */
  async close(): Promise<void> {
    while (this.#collecting !== undefined) await this.#collecting;
  }

  async #collectWhenIdle(): Promise<void> {
    while (this.#collecting !== undefined) await this.#collecting;
    if (!this.#wanted || this.#working > 0) return;
    this.#wanted = false;
    const collecting = this.#collect();
    this.#collecting = collecting
      .catch(() => {
        this.#wanted = true;
      })
      .finally(() => {
        this.#collecting = undefined;
      });
    await this.#collecting;
    await collecting;
  }
}
