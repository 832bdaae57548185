/**
 * The processes that convert layers: as many at once as there are processors, started when there is something to do
 * and ended soon after. They share nothing with the daemon but files, so what goes wrong in one of them (memory, a
 * crash) fails one layer.
 */
import { availableParallelism } from "node:os";
import * as v from "valibot";
import { HullError } from "../../contract/errors.ts";
import { ownProgram } from "../../host/own-program.ts";
import { exitCodeOf, plainEnvironment, type Spawned, start } from "../../host/spawn.ts";
import type { Conversion, ConversionPaths } from "./convert.ts";
import { answerSchema, errorOf, type LastAnswer, linesOf, type WorkerCommand } from "./worker-protocol.ts";

/** Each takes memory, and a pull brings three layers at once. */
const maxProcesses = Math.min(3, availableParallelism());
const idleMilliseconds = 3000;
/**
 * What JavaScriptCore takes the machine's memory for: its heap grows as far as it must, but garbage is collected
 * sooner. The last of its compilers takes more time and memory than it saves where nearly all work is inflating, hashing
 * and copying. Figures: docs/decisions/0003.
 */
const lean = { BUN_JSC_forceRAMSize: String(50 * 1024 * 1024), BUN_JSC_useFTLJIT: "0" };

/** A conversion that goes on while its blob is still written. */
export interface RunningConversion extends AsyncDisposable {
  /** More of the blob is in its file. */
  more(): void;
  /** All of it is: waits for the conversion. */
  end(): Promise<Conversion>;
  /** Rejects as soon as the conversion has failed. */
  readonly result: Promise<Conversion>;
}

class Converter {
  readonly #child: Spawned;
  readonly #answers: AsyncGenerator<string>;

  constructor() {
    this.#child = start(ownProgram("convert-layers"), {
      env: { ...plainEnvironment, ...lean },
      stdio: ["pipe", "pipe", "inherit"],
    });
    // It must not keep alive a program that has nothing else to do.
    this.#child.unref();
    const { stdout } = this.#child;
    if (stdout === undefined || typeof stdout === "number") throw new Error("it was started with pipes");
    this.#answers = linesOf(stdout);
  }

  tell(command: WorkerCommand): void {
    const { stdin } = this.#child;
    if (stdin === undefined || typeof stdin === "number") throw new Error("it was started with pipes");
    const write = async (): Promise<void> => {
      await stdin.write(`${JSON.stringify(command)}\n`);
      await stdin.flush();
    };
    // A process that has ended says so by ending its answers; the write may throw at once, too.
    void write().catch(() => undefined);
  }

  async answer(what: string, onTaken: (bytes: number) => void): Promise<LastAnswer> {
    for (let line = await this.#answers.next(); line.done !== true; line = await this.#answers.next()) {
      const answer = v.parse(answerSchema, JSON.parse(line.value));
      if (!("taken" in answer)) return answer;
      onTaken(answer.taken);
    }
    await this.#child.exited;
    throw new HullError("internal", {
      what: `${what} was not converted: its process ended with ${exitCodeOf(this.#child)}: try again`,
    });
  }

  /** Resolves when the process has ended, by itself or not. */
  get ended(): Promise<unknown> {
    return this.#child.exited;
  }

  async stop(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
  }
}

class Converters {
  #running = 0;
  readonly #idle = new Map<Converter, Timer>();
  readonly #queue = new Set<() => void>();

  async take(signal: AbortSignal): Promise<Converter> {
    while (this.#running >= maxProcesses) await this.#turn(signal);
    signal.throwIfAborted();
    this.#running++;
    const [free] = this.#idle;
    if (free === undefined) return new Converter();
    const [converter, timer] = free;
    clearTimeout(timer);
    this.#idle.delete(converter);
    return converter;
  }

  async #turn(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const abort = (): void => {
      this.#queue.delete(resolve);
      reject(signal.reason);
    };
    signal.addEventListener("abort", abort, { once: true });
    this.#queue.add(resolve);
    try {
      await promise;
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  /** Gives one back that has answered. */
  keep(converter: Converter): void {
    const timer = setTimeout(() => {
      this.#idle.delete(converter);
      void converter.stop();
    }, idleMilliseconds);
    timer.unref();
    this.#idle.set(converter, timer);
    void converter.ended.then(() => this.#idle.delete(converter));
    this.#next();
  }

  async drop(converter: Converter): Promise<void> {
    await converter.stop();
    this.#next();
  }

  #next(): void {
    this.#running--;
    const [next] = this.#queue;
    if (next === undefined) return;
    this.#queue.delete(next);
    next();
  }
}

const converters = new Converters();

/**
 * `blob` must be there already; it may be empty still. Disposing of it ends what goes on. `onTaken` hears now and then
 * how many of the blob's bytes were taken in.
 */
export function startConversion(
  blob: string,
  paths: ConversionPaths,
  onTaken: (bytes: number) => void = () => undefined,
): RunningConversion {
  const stop = new AbortController();
  let converter: Converter | undefined;
  let allThere = false;
  const work = async (): Promise<Conversion> => {
    const own = await converters.take(stop.signal);
    let healthy = false;
    try {
      converter = own;
      own.tell({ convert: { ...paths, blob } });
      if (allThere) own.tell({ end: true });
      const answer = await own.answer(paths.what, onTaken);
      healthy = true;
      if ("failed" in answer) throw errorOf(answer);
      const { plainBytes, ...converted } = answer.converted;
      return { ...converted, plainBytes };
    } finally {
      converter = undefined;
      if (healthy && !stop.signal.aborted) converters.keep(own);
      else await converters.drop(own);
    }
  };
  const result = work();
  result.catch(() => undefined);
  return {
    result,
    more: () => converter?.tell({ more: true }),
    end: () => {
      allThere = true;
      converter?.tell({ end: true });
      return result;
    },
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await converter?.stop();
      await result.catch(() => undefined);
    },
  };
}
