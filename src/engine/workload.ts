/** One workload as the daemon holds it: its record, its sandbox, and those who wait for it. */
import type { Connection } from "../network/workloads/attach.ts";
import type { Sandbox } from "../wall/wall.ts";
import type { HeldAttachment } from "./held-attachment.ts";
import { Mutex } from "./lock.ts";
import { isLive, type Life, type State, type WorkloadRecord } from "./record.ts";
import { Waiting, type WaitOutcome } from "./waiting.ts";

export class Workload {
  /** Held around every change of state; nothing that waits for the workload to end may hold it. */
  readonly lock = new Mutex();
  readonly waiting = new Waiting();
  /** Attachments to connect at the next start. */
  readonly held = new Set<HeldAttachment>();
  record: WorkloadRecord;
  sandbox: Sandbox | undefined;
  lease: Disposable | undefined;
  /** Between the making of its network and that of its sandbox. */
  connection: Connection | undefined;
  /** Keeps its volumes in place while there is a sandbox. */
  heldMounts: AsyncDisposable | undefined;
  /** The network namespace of a sandbox that was prepared for its first start. */
  preparedNamespace: (() => string | undefined) | undefined;
  /** Cuts the pause before a restart short. */
  restartPause: AbortController | undefined;
  restartDelay = 0;
  /** A client wants it to end, so no restart policy applies to the exit that comes. */
  stopping = false;
  /** It is being removed by force: nothing of it is needed any more. */
  leaving = false;
  /** Between the stop and the start of a client's restart: an auto-remove has to wait. */
  restartedByClient = false;
  #ended = Promise.withResolvers<void>();

  constructor(record: WorkloadRecord) {
    this.record = record;
    if (!isLive(record.state)) this.#ended.resolve();
  }

  get id(): string {
    return this.record.id;
  }

  get state(): State {
    return this.record.state;
  }

  get live(): boolean {
    return isLive(this.record.state);
  }

  /** Resolves when the workload is not running: at once, or at the end of the present run. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** Takes over a new state in memory; the engine records it first. */
  become(state: State, life: Life): void {
    const was = this.live;
    this.record = { ...this.record, state, life };
    if (this.live && !was) this.#ended = Promise.withResolvers<void>();
    if (!this.live && was) this.#ended.resolve();
  }

  releaseHeld(): void {
    for (const attachment of this.held) attachment.release();
    this.held.clear();
  }

  outcome(): WaitOutcome {
    const { exitCode, error, lost } = this.record.life;
    return lost ? { code: exitCode, error } : { code: exitCode };
  }
}
