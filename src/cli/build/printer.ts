/** What a build tells, for a terminal or a pipe. */
import type { BuildLine } from "../../contract/docker.ts";
import type { Output } from "../print/output.ts";
import { ProgressPrinter } from "../print/progress.ts";
import { isTerminal } from "../session/terminal.ts";

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is told apart.
const controls = /\x1b\[[0-9;]*m|[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/g;

export class BuildPrinter {
  readonly #output: Output;
  readonly #pulls: ProgressPrinter;
  readonly #terminal: boolean;
  readonly #quiet: boolean;

  constructor(output: Output, quiet: boolean) {
    this.#output = output;
    this.#pulls = new ProgressPrinter(output);
    this.#terminal = isTerminal(output.descriptor);
    this.#quiet = quiet;
  }

  async show(line: BuildLine): Promise<void> {
    if (line.stream !== undefined)
      await this.#output.write(this.#terminal ? harmless(line.stream) : line.stream);
    else if (line.status !== undefined && !this.#quiet) await this.#pulls.show(line);
  }
}

/** Colours and carriage returns of commands work; what else would move the terminal about is shown. */
function harmless(text: string): string {
  return text.replaceAll(controls, (found) =>
    found.length > 1 ? found : `\\x${found.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
}
