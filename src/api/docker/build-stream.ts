/** The answer of a build: Docker's JSON stream, which waits for a client that reads slowly. */
import type { BuildLine } from "../../contract/docker/build.ts";
import { isHullError, messageOf } from "../../contract/errors.ts";
import type { BuildOutput } from "../../engine/build/request.ts";
import type { ProgressEvent } from "../../image/image-store.ts";
import type { ByteChannel } from "../channel.ts";
import type { Exchange } from "../exchange.ts";

/** What a quiet build keeps of its output for the case that it fails: its end. */
const quietLimit = 64 * 1024;

export class BuildStream implements BuildOutput {
  readonly #exchange: Exchange;
  readonly #quiet: boolean;
  #channel: ByteChannel | undefined;
  #kept = "";
  #id = "";

  constructor(exchange: Exchange, quiet: boolean) {
    this.#exchange = exchange;
    this.#quiet = quiet;
  }

  async text(text: string): Promise<void> {
    if (this.#quiet) this.#kept = (this.#kept + text).slice(-quietLimit);
    else await this.#send({ stream: text });
  }

  async progress(event: ProgressEvent): Promise<void> {
    if (!this.#quiet) await this.#send(event);
  }

  async image(id: string): Promise<void> {
    this.#id = id;
    if (!this.#quiet) await this.#send({ aux: { ID: id } });
  }

  /** The status is 200 once the first line is out, so a later failure is the last line. */
  async run(work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
      if (this.#quiet) await this.#send({ stream: `${this.#id}\n` });
    } catch (error) {
      if (this.#quiet && this.#kept !== "") await this.#send({ stream: this.#kept });
      if (this.#channel === undefined) throw error;
      await this.#send({ error: messageOf(error), errorDetail: detailOf(error) });
    }
    this.#channel?.end();
  }

  async #send(line: BuildLine): Promise<void> {
    this.#channel ??= this.#exchange.sendStream("application/json");
    await this.#channel.write(Buffer.from(`${JSON.stringify(line)}\r\n`));
  }
}

/** Clients end with the code of the command that failed. */
function detailOf(error: unknown): { message: string; code?: number } {
  const code = isHullError(error, "buildStepFailed") ? error.details.code : undefined;
  return { message: messageOf(error), ...(typeof code === "number" ? { code } : {}) };
}
