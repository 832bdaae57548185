/** Those who wait for a workload: Docker's conditions `not-running`, `next-exit` and `removed`. */

export type WaitCondition = "not-running" | "next-exit" | "removed";

export interface WaitOutcome {
  readonly code: number;
  /** Why there is no true exit code. */
  readonly error?: string;
}

export class Waiting {
  readonly #waiters = new Map<(outcome: WaitOutcome) => void, WaitCondition>();

  /** Resolves when `condition` comes about from now on, or with undefined when `signal` aborts first. */
  until(condition: WaitCondition, signal: AbortSignal): Promise<WaitOutcome | undefined> {
    return new Promise((resolve) => {
      const settle = (outcome: WaitOutcome) => {
        this.#waiters.delete(settle);
        signal.removeEventListener("abort", abort);
        resolve(outcome);
      };
      const abort = () => {
        this.#waiters.delete(settle);
        resolve(undefined);
      };
      if (signal.aborted) return resolve(undefined);
      signal.addEventListener("abort", abort, { once: true });
      this.#waiters.set(settle, condition);
    });
  }

  /** `event` came about; a removal settles everyone, for nothing else will come. */
  settle(event: WaitCondition, outcome: WaitOutcome): void {
    for (const [waiter, condition] of this.#waiters)
      if (condition === event || event === "removed") waiter(outcome);
  }
}
