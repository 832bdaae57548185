/** What the workload writes: into its log, and to those who are attached. */
import { messageOf } from "../../contract/errors.ts";
import { errnoNameOf } from "../../host/system-error.ts";
import type { OutputChunk } from "../wall.ts";
import type { AttachmentSet } from "./attachment.ts";
import { OutputLog } from "./output-log.ts";

/** Milliseconds until a full disk is tried again. */
const fullDiskPause = 500;

export class MainOutput {
  readonly #log: OutputLog;
  readonly #attachments: AttachmentSet;
  readonly #lose: (why: string) => void;
  #letGo = false;

  /** `lose`: the log cannot be written. */
  constructor(logPath: string, attachments: AttachmentSet, lose: (why: string) => void) {
    this.#log = new OutputLog(logPath);
    this.#attachments = attachments;
    this.#lose = lose;
  }

  /** Resolves when the agent may forget the chunks. */
  async take(chunks: readonly OutputChunk[]): Promise<void> {
    while (!this.#letGo && !this.#append(chunks)) await Bun.sleep(fullDiskPause);
    // What is in no log must not be acknowledged: the next daemon asks for it.
    if (this.#letGo) return new Promise(() => undefined);
    await this.#attachments.push(chunks);
  }

  /** Nothing follows. */
  close(): void {
    this.#log.close();
  }

  /** Another daemon takes what follows. */
  letGo(): void {
    this.#letGo = true;
    this.#log.close();
  }

  /** False when the disk is full: the workload then waits, as it would for a pipe that is not read. */
  #append(chunks: readonly OutputChunk[]): boolean {
    try {
      this.#log.append(chunks);
      return true;
    } catch (error) {
      if (["ENOSPC", "EDQUOT"].includes(errnoNameOf(error) ?? "")) return false;
      this.#lose(`its log cannot be written: ${messageOf(error)}`);
      throw error;
    }
  }
}
