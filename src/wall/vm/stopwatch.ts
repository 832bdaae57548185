/** Where the milliseconds of a start go: for the daemon's log and bench/vm-start.ts. */
export class Stopwatch {
  readonly #laps: Record<string, number> = {};
  #last = performance.now();

  /** Ends a step and begins the next. */
  lap(step: string): void {
    const now = performance.now();
    this.#laps[step] = Math.round((now - this.#last) * 10) / 10;
    this.#last = now;
  }

  get laps(): Readonly<Record<string, number>> {
    return this.#laps;
  }
}
