/** Signals that the client passes on to the workload it shows. */

/** Those that ask a program for something; job control (TSTP, CONT…) stays the client's own. */
const forwarded = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGUSR1: 10,
  SIGUSR2: 12,
  SIGALRM: 14,
  SIGTERM: 15,
} as const;

export type ForwardedSignal = keyof typeof forwarded;

export function numberOfSignal(signal: ForwardedSignal): number {
  return forwarded[signal];
}

/** Catches signals from its making to its disposal; until there is somebody to send them to it keeps them. */
export class SignalForwarder implements Disposable {
  readonly #handlers = new Map<ForwardedSignal, () => void>();
  readonly #kept: ForwardedSignal[] = [];
  #send: ((signal: ForwardedSignal) => void) | undefined;

  constructor() {
    for (const signal of signalNames()) {
      const handler = () => {
        if (this.#send === undefined) this.#kept.push(signal);
        else this.#send(signal);
      };
      this.#handlers.set(signal, handler);
      process.on(signal, handler);
    }
  }

  /** The first signal that came while there was nobody to send it to. */
  get kept(): ForwardedSignal | undefined {
    return this.#kept[0];
  }

  /** From now on signals are sent; those that were kept first. */
  sendTo(send: (signal: ForwardedSignal) => void): void {
    this.#send = send;
    for (const signal of this.#kept.splice(0)) send(signal);
  }

  [Symbol.dispose](): void {
    for (const [signal, handler] of this.#handlers) process.off(signal, handler);
  }
}

function signalNames(): ForwardedSignal[] {
  // The keys of a literal object are exactly its type's.
  return Object.keys(forwarded) as ForwardedSignal[];
}
