/** An asynchronous mutex, first come first served: `using held = await mutex.acquire()`. */
export class Mutex {
  #tail: Promise<void> = Promise.resolve();

  async acquire(): Promise<Disposable> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const before = this.#tail;
    this.#tail = promise;
    await before;
    return { [Symbol.dispose]: resolve };
  }
}
