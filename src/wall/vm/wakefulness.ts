/** A paused machine has to go on while somebody works with its files, although its workload stands still. */

export interface Sleeper {
  /** Whether the machine is to stand still when nobody needs it. */
  readonly sleeps: () => boolean;
  readonly goOn: () => Promise<void>;
  readonly stop: () => Promise<void>;
}

export class Wakefulness {
  readonly #sleeper: Sleeper;
  /** Those that need the machine to go on. */
  #users = 0;
  /** The last change between going on and stopping. */
  #turn: Promise<void> = Promise.resolve();

  constructor(sleeper: Sleeper) {
    this.#sleeper = sleeper;
  }

  /** Resolves when the machine neither is being stopped nor goes on just now. */
  async settled(): Promise<void> {
    await this.#turn.catch(() => undefined);
  }

  /** Lets the paused machine go on until released. */
  async awake(): Promise<() => void> {
    this.#users += 1;
    let released = false;
    const release = (): void => {
      if (released) return;
      released = true;
      this.#users -= 1;
      if (this.#users > 0 || !this.#sleeper.sleeps()) return;
      // A machine that cannot be stopped again holds a workload that stands still all the same.
      this.#turn = this.#turn
        .then(() => (this.#users > 0 || !this.#sleeper.sleeps() ? undefined : this.#sleeper.stop()))
        .catch(() => undefined);
    };
    this.#turn = this.#turn.then(() => this.#sleeper.goOn());
    try {
      await this.#turn;
      return release;
    } catch (error) {
      this.#turn = Promise.resolve();
      release();
      throw error;
    }
  }
}
