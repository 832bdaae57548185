/** Watches that a request gets on: one that stands still, or as good as, is ended. */
import { RequestFailure } from "./failure.ts";
import type { Patience } from "./settings.ts";

/**
 * Counts only the time that the other side is waited for. In every stretch of such time as long as
 * `stall.milliseconds`, at least `stall.bytes` have to come or go, so a registry that trickles holds nothing up.
 */
export class StallWatch {
  /** Aborts when the request stands still, or when the caller gives up. */
  readonly signal: AbortSignal;
  readonly #controller = new AbortController();
  readonly #stall: Patience["stall"];
  #timer: NodeJS.Timeout | undefined;
  #since = 0;
  #left: number;
  #bytes = 0;

  constructor(outer: AbortSignal, stall: Patience["stall"]) {
    this.signal = AbortSignal.any([outer, this.#controller.signal]);
    this.#stall = stall;
    this.#left = stall.milliseconds;
    this.listen();
  }

  /** From now on the other side is waited for. */
  listen(): void {
    if (this.#timer !== undefined) return;
    this.#since = performance.now();
    this.#timer = setTimeout(() => this.#end(), this.#left);
  }

  /** The time that passes is ours. */
  pause(): void {
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#left = Math.max(1, this.#left - (performance.now() - this.#since));
  }

  heard(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes < this.#stall.bytes) return;
    this.#bytes = 0;
    this.#left = this.#stall.milliseconds;
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.listen();
  }

  #end(): void {
    const seconds = this.#stall.milliseconds / 1000;
    const what = this.#bytes === 0 ? "nothing" : `no more than ${this.#bytes} bytes`;
    this.#controller.abort(new RequestFailure("broken", `${what} came in ${seconds} seconds`));
  }
}
