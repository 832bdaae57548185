/** Standard output and error of the client, with back-pressure. */

/** The reader of standard output is gone (`hull … | head -1`): the client ends as quietly as a program that SIGPIPE ended. */
export class OutputClosed extends Error {
  override readonly name = "OutputClosed";
}

export class Output {
  readonly descriptor: 1 | 2;
  #sink: Bun.FileSink | undefined;

  constructor(descriptor: 1 | 2) {
    this.descriptor = descriptor;
  }

  /** Resolves when the bytes are with the system. */
  async write(data: Uint8Array | string): Promise<void> {
    if (data.length === 0) return;
    try {
      this.#sink ??= (this.descriptor === 1 ? Bun.stdout : Bun.stderr).writer();
      const written = this.#sink.write(data);
      // Both may be promises, and both reject when the reader is gone.
      await Promise.all([written, this.#sink.flush()]);
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "EPIPE")
        throw new OutputClosed("standard output is closed");
      throw error;
    }
  }

  async line(text: string): Promise<void> {
    await this.write(`${text}\n`);
  }
}
