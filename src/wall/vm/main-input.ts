/** Standard input of the workload's main process, which attachments may write to before it has started. */
import type { AgentProcess } from "./agent-process.ts";
import type { AttachmentInput } from "./attachment.ts";
import { limits } from "./protocol.ts";

export class MainInput {
  readonly #process: Promise<AgentProcess>;
  readonly #once: boolean;
  #started = false;
  #early = 0;

  /** `process` may reject: what was written then had no reader. */
  constructor(process: Promise<AgentProcess>, once: boolean) {
    this.#process = process;
    this.#once = once;
    process.then(
      () => {
        this.#started = true;
      },
      () => undefined,
    );
  }

  /** The input side of a new attachment. */
  attachment(): AttachmentInput {
    return {
      write: (data) => this.#write(data),
      endInput: () => {
        this.#end();
        return Promise.resolve();
      },
      detached: (wrote) => {
        if (wrote) this.#end();
      },
    };
  }

  async #write(data: Uint8Array): Promise<void> {
    const written = this.#send((process) => process.write(data));
    // A little may be written before there is a process to read it.
    if (!this.#started) this.#early += data.length;
    if (this.#started || this.#early > limits.inputWindow) await written;
  }

  #end(): void {
    if (this.#once) void this.#send((process) => process.endInput());
  }

  #send(action: (process: AgentProcess) => Promise<void>): Promise<void> {
    return this.#process.then(action, () => undefined);
  }
}
