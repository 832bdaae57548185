/**
 * Inflating gzip and zstd in the caller's own thread. The streams of node:zlib hand every piece to another thread
 * and back: a fifth more processor time, which counts where every processor inflates a layer of its own.
 *
 * The handle is not documented, but npm's own tar (minizlib) lives by it too, in Node and in Bun. Where it is
 * missing the streams do the work.
 */
import type { Transform } from "node:stream";
import { HullError } from "../../contract/errors.ts";

/** node:zlib's binding: one call inflates as much as there is room for. */
interface Handle {
  writeSync(
    flush: number,
    input: Uint8Array,
    inputAt: number,
    inputBytes: number,
    output: Uint8Array,
    outputAt: number,
    outputBytes: number,
  ): void;
  onerror: (message: string) => void;
}

const noFlush = 0;
const finish = 4;
/** zstd's ZSTD_e_end is 2; zlib's Z_FINISH is 4. A decompressor of zstd takes either for what it is: no more input. */
const endOf = { gzip: finish, zstd: 2 } as const;

export class Inflater implements Disposable {
  readonly #what: string;
  readonly #stream: Transform;
  readonly #handle: Handle;
  /** Set by the handle: bytes of room left, bytes of input left. */
  readonly #state: Uint32Array;
  readonly #end: number;
  readonly #output: Buffer;
  #failure: string | undefined;

  private constructor(
    what: string,
    stream: Transform,
    inner: { handle: Handle; state: Uint32Array },
    options: { readonly kind: "gzip" | "zstd"; readonly outputBytes: number },
  ) {
    this.#what = what;
    this.#stream = stream;
    this.#handle = inner.handle;
    this.#state = inner.state;
    this.#end = endOf[options.kind];
    this.#output = Buffer.allocUnsafe(options.outputBytes);
    inner.handle.onerror = (message) => {
      this.#failure ??= message;
    };
  }

  /** Undefined where node:zlib has no such handle. `what` names the data in errors. */
  static of(
    what: string,
    stream: Transform,
    options: { readonly kind: "gzip" | "zstd"; readonly outputBytes: number },
  ): Inflater | undefined {
    const inner = innerOf(stream);
    return inner && new Inflater(what, stream, inner, options);
  }

  /** What one piece of input gives. Each piece of output is good until the next one is asked for. */
  *push(input: Uint8Array): Generator<Uint8Array> {
    yield* this.#run(noFlush, input);
  }

  /** After the last input: throws `corrupt` when something is missing. */
  *end(): Generator<Uint8Array> {
    yield* this.#run(this.#end, new Uint8Array(0));
  }

  *#run(flush: number, input: Uint8Array): Generator<Uint8Array> {
    const output = this.#output;
    for (let at = 0; ; ) {
      this.#handle.writeSync(flush, input, at, input.length - at, output, 0, output.length);
      if (this.#failure !== undefined)
        throw new HullError("corrupt", { what: this.#what, why: this.#failure });
      const room = this.#state[0] ?? 0;
      at = input.length - (this.#state[1] ?? 0);
      if (room < output.length) yield output.subarray(0, output.length - room);
      // With room left over there is nothing more to come of this input.
      if (room > 0) return;
    }
  }

  [Symbol.dispose](): void {
    this.#stream.destroy();
  }
}

function innerOf(stream: Transform): { handle: Handle; state: Uint32Array } | undefined {
  // Properties that no type tells of; what they are is looked at here.
  const inner = stream as unknown as { readonly _handle?: Partial<Handle>; readonly _writeState?: unknown };
  const { _handle: handle, _writeState: state } = inner;
  if (typeof handle?.writeSync !== "function" || !(state instanceof Uint32Array)) return undefined;
  return { handle: handle as Handle, state };
}
