/**
 * One process behind the agent, seen from the host: its output with offsets, its input with credit, its exit.
 *
 * Output is acknowledged once the sink has taken it, so the guest can have at most one window of it in the
 * daemon's memory, and a sink that takes its time slows the process down.
 */
import type { OutputChunk } from "../wall.ts";
import { FieldReader, FieldWriter, ProtocolError } from "./fields.ts";
import { channels, frame, frames, limits } from "./protocol.ts";

export interface AgentExit {
  readonly code: number;
  readonly oomKilled: boolean;
  /** By the guest's clock. */
  readonly finishedAt: number;
}

/** Takes output for good; resolves when it has, which acknowledges it. */
export type OutputSink = (chunks: readonly OutputChunk[]) => Promise<void>;

export interface ProcessOptions {
  readonly handle: number;
  readonly window: number;
  readonly send: (type: number, id: number, payload: Uint8Array) => void;
  readonly sink: OutputSink;
  /** How many bytes of stdout and stderr an earlier daemon has taken. */
  readonly taken?: readonly [number, number];
  /** How many bytes of input the agent has. */
  readonly inputOffset?: number;
}

interface Channel {
  received: number;
  acknowledged: number;
  ended: boolean;
  /** The first offset of a resumed channel may be past what was asked for: less was kept here than acknowledged. */
  fresh: boolean;
}

const names = { [channels.stdout]: "stdout", [channels.stderr]: "stderr" } as const;
/** The window bounds bytes; this bounds in how many pieces they may wait. */
const waitingChunks = 1024;
const inputPiece = frame.maximumPayload - 8;

export class AgentProcess {
  /** Resolves after the sink has taken the last output; rejects when the connection is lost. */
  readonly exit: Promise<AgentExit>;
  readonly handle: number;
  readonly #options: ProcessOptions;
  readonly #channels: Readonly<Record<number, Channel>>;
  readonly #resolveExit: (exit: AgentExit) => void;
  readonly #rejectExit: (error: unknown) => void;
  #waiting: OutputChunk[] = [];
  #pumping: Promise<void> | undefined;
  #exitSeen = false;
  #over = false;
  #inputOffset: number;
  #credit = 0;
  #lastInput: Promise<void> = Promise.resolve();
  #inputEnded = false;
  #wakeInput: (() => void) | undefined;

  /** Bytes of stdout and stderr that have come. */
  get received(): [number, number] {
    return [this.#channels[channels.stdout]?.received ?? 0, this.#channels[channels.stderr]?.received ?? 0];
  }

  constructor(options: ProcessOptions) {
    const { promise, resolve, reject } = Promise.withResolvers<AgentExit>();
    // The connection's end is reported where it is awaited; nobody may be waiting for this process.
    promise.catch(() => undefined);
    this.exit = promise;
    this.#resolveExit = resolve;
    this.#rejectExit = reject;
    this.handle = options.handle;
    this.#options = options;
    this.#inputOffset = options.inputOffset ?? 0;
    const channel = (taken: number): Channel => ({
      received: taken,
      acknowledged: taken,
      ended: false,
      fresh: options.taken !== undefined,
    });
    const [stdout, stderr] = options.taken ?? [0, 0];
    this.#channels = { [channels.stdout]: channel(stdout), [channels.stderr]: channel(stderr) };
  }

  /** Bytes of input the agent has or was sent. */
  get inputOffset(): number {
    return this.#inputOffset;
  }

  receive(type: number, payload: Buffer): void {
    if (this.#exitSeen && type !== frames.inputCredit)
      throw new ProtocolError("the agent sent output of a process that has ended");
    const fields = new FieldReader(payload);
    if (type === frames.output) this.#receiveOutput(fields);
    else if (type === frames.outputEnd) this.#receiveOutputEnd(fields);
    else if (type === frames.inputCredit) this.#receiveCredit(fields.u64());
    else if (type === frames.exit) this.#receiveExit(fields);
    else throw new ProtocolError(`the agent sent a frame of type ${type}`);
  }

  /** Resolves when more may be written. Input after the process's end is dropped. */
  write(data: Uint8Array): Promise<void> {
    this.#lastInput = this.#lastInput.then(() => this.#sendInput(data));
    return this.#lastInput;
  }

  endInput(): Promise<void> {
    this.#lastInput = this.#lastInput.then(() => {
      if (this.#inputEnded || this.#over) return;
      this.#inputEnded = true;
      this.#options.send(frames.inputEnd, this.handle, new FieldWriter().u64(this.#inputOffset).take());
    });
    return this.#lastInput;
  }

  /** The connection is gone. */
  lose(error: unknown): void {
    this.#finish();
    this.#rejectExit(error);
  }

  async #sendInput(data: Uint8Array): Promise<void> {
    for (let at = 0; at < data.length && !this.#over && !this.#inputEnded; ) {
      const length = Math.min(data.length - at, this.#credit - this.#inputOffset, inputPiece);
      if (length <= 0) {
        await new Promise<void>((resolve) => {
          this.#wakeInput = resolve;
        });
        continue;
      }
      const piece = new FieldWriter().u64(this.#inputOffset).bytes(data.subarray(at, at + length));
      this.#options.send(frames.input, this.handle, piece.take());
      this.#inputOffset += length;
      at += length;
    }
  }

  #receiveCredit(credit: number): void {
    if (credit > this.#inputOffset + 2 * limits.inputWindow)
      throw new ProtocolError("the agent asks for more input than its window");
    this.#credit = Math.max(this.#credit, credit);
    this.#wakeInput?.();
  }

  #receiveOutput(fields: FieldReader): void {
    const number = fields.u8();
    const channel = this.#channelAt(number, fields.u64());
    const data = Buffer.from(fields.rest());
    if (data.length === 0) throw new ProtocolError("the agent sent empty output");
    channel.received += data.length;
    if (channel.received - channel.acknowledged > this.#options.window)
      throw new ProtocolError("the agent sent more output than its window");
    this.#waiting.push({ stream: number === channels.stdout ? names[1] : names[2], data });
    if (this.#waiting.length > waitingChunks) this.#waiting = mergeChunks(this.#waiting);
    this.#pumping ??= this.#pump();
  }

  #receiveOutputEnd(fields: FieldReader): void {
    this.#channelAt(fields.u8(), fields.u64()).ended = true;
  }

  #channelAt(number: number, offset: number): Channel {
    const channel = this.#channels[number];
    if (channel === undefined || channel.ended)
      throw new ProtocolError("the agent sent output of no channel");
    if (channel.fresh && offset > channel.received) channel.received = channel.acknowledged = offset;
    channel.fresh = false;
    if (offset !== channel.received) throw new ProtocolError("the agent sent output with a gap");
    return channel;
  }

  #receiveExit(fields: FieldReader): void {
    const exit = { code: fields.u8(), oomKilled: fields.u8() !== 0, finishedAt: fields.u64() };
    this.#exitSeen = true;
    void (this.#pumping ?? Promise.resolve()).then(
      () => {
        this.#finish();
        this.#resolveExit(exit);
      },
      () => undefined,
    );
  }

  /** Hands on what waits and acknowledges it, until nothing waits. */
  async #pump(): Promise<void> {
    try {
      while (this.#waiting.length > 0) {
        const chunks = this.#waiting;
        this.#waiting = [];
        await this.#options.sink(chunks);
        for (const [number, name] of Object.entries(names)) {
          const taken = chunks.reduce(
            (sum, { stream, data }) => sum + (stream === name ? data.length : 0),
            0,
          );
          if (taken > 0) this.#acknowledge(Number(number), taken);
        }
      }
      this.#pumping = undefined;
    } catch (error) {
      this.lose(error);
    }
  }

  #acknowledge(number: number, taken: number): void {
    const channel = this.#channels[number];
    if (channel === undefined) return;
    channel.acknowledged += taken;
    if (this.#over) return;
    const payload = new FieldWriter().u8(number).u64(channel.acknowledged).take();
    this.#options.send(frames.acknowledge, this.handle, payload);
  }

  #finish(): void {
    this.#over = true;
    this.#wakeInput?.();
  }
}

/** One chunk per stream; how the streams' writes lay to each other is lost. */
function mergeChunks(chunks: readonly OutputChunk[]): OutputChunk[] {
  return Object.values(names).flatMap((stream) => {
    const data = Buffer.concat(chunks.filter((chunk) => chunk.stream === stream).map((chunk) => chunk.data));
    return data.length === 0 ? [] : [{ stream, data }];
  });
}
