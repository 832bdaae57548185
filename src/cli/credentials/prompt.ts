/** Questions on the terminal. */
import type { Output } from "../print/output.ts";
import { isTerminal, rawMode } from "../session/terminal.ts";

export function canAsk(): boolean {
  return isTerminal(0);
}

/** Asks on one terminal; what was typed ahead is for the next question. */
export class Questions {
  readonly #output: Output;
  #input: ReturnType<typeof openInput> | undefined;
  readonly #decoder = new TextDecoder();
  #ahead: string[] = [];

  constructor(output: Output) {
    this.#output = output;
  }

  /** One line; what is typed is shown. */
  async ask(question: string): Promise<string> {
    await this.#output.write(question);
    const typed: string[] = [];
    for (;;) {
      const letter = await this.#next();
      if (letter === undefined || letter === "\n" || letter === "\r") return typed.join("").trim();
      typed.push(letter);
    }
  }

  /** One line; nothing of it is shown. */
  async askSecret(question: string): Promise<string> {
    await this.#output.write(question);
    const raw = rawMode();
    try {
      return await this.#secret();
    } finally {
      raw[Symbol.dispose]();
      await this.#output.write("\n");
    }
  }

  /** A raw terminal leaves editing to whoever reads. */
  async #secret(): Promise<string> {
    const typed: string[] = [];
    for (;;) {
      const letter = await this.#next();
      if (letter === undefined || ["\r", "\n", keys.end].includes(letter)) return typed.join("");
      if (letter === keys.interrupt) throw new Error("interrupted");
      if (letter === keys.clear) typed.length = 0;
      else if (letter === keys.backspace || letter === keys.erase) typed.pop();
      else typed.push(letter);
    }
  }

  /** Undefined: nobody types any more. */
  async #next(): Promise<string | undefined> {
    while (this.#ahead.length === 0) {
      this.#input ??= openInput();
      const { done, value } = await this.#input.read();
      if (done) return undefined;
      this.#ahead = [...this.#decoder.decode(value, { stream: true })];
    }
    return this.#ahead.shift();
  }
}

const keys = {
  interrupt: "\u0003",
  end: "\u0004",
  backspace: "\u007f",
  erase: "\b",
  clear: "\u0015",
} as const;

function openInput() {
  return Bun.stdin.stream().getReader();
}
