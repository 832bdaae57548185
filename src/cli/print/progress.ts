/** Docker's progress streams: a line with a bar for each layer on a terminal, changes of state elsewhere. */
import type { ProgressLine } from "../../contract/docker.ts";
import { isTerminal, terminalSize } from "../session/terminal.ts";
import { decimalSize } from "./human.ts";
import type { Output } from "./output.ts";
import { visible, visibleLine } from "./visible.ts";

const widestBar = 50;
const narrowestBar = 10;

interface Size {
  readonly columns: number;
  readonly rows: number;
}

interface ProgressOutput extends Pick<Output, "write" | "line" | "descriptor"> {}

export class ProgressPrinter {
  readonly #output: ProgressOutput;
  /** Of the terminal; undefined: it is none. */
  readonly #size: () => Size | undefined;
  /** Ids in the order of their lines on the screen, with what they say. */
  readonly #lines = new Map<string, string>();

  constructor(output: ProgressOutput, size: () => Size | undefined = sizeOf(output)) {
    this.#output = output;
    this.#size = size;
  }

  async show(line: ProgressLine): Promise<void> {
    if (line.stream !== undefined) return this.#output.write(visible(line.stream));
    const id = line.id === undefined ? "" : visibleLine(line.id);
    const status = visibleLine(line.status ?? "");
    if (id === "") return this.#say(status);
    const size = this.#size();
    if (size === undefined) return this.#note(id, status, line);
    const text = fitted(`${id}: ${status}`, line, size.columns);
    const known = [...this.#lines.keys()].indexOf(id);
    this.#lines.set(id, text);
    if (known < 0) return this.#output.line(`${text}\x1b[K`);
    const up = this.#lines.size - known;
    // What has scrolled off the screen is out of reach.
    if (up >= size.rows) return;
    await this.#output.write(`\x1b[${up}A\r${text}\x1b[K\x1b[${up}B\r`);
  }

  /** A line about the whole: what is above stays as it is. */
  async #say(status: string): Promise<void> {
    if (status === "") return;
    this.#lines.clear();
    await this.#output.line(status);
  }

  /** Without a terminal only changes of state are of interest. */
  async #note(id: string, status: string, line: ProgressLine): Promise<void> {
    if (line.progressDetail?.current !== undefined || this.#lines.get(id) === status) return;
    this.#lines.set(id, status);
    await this.#output.line(`${id}: ${status}`);
  }
}

function sizeOf(output: ProgressOutput): () => Size | undefined {
  if (!isTerminal(output.descriptor)) return () => undefined;
  return () => terminalSize() ?? { columns: 80, rows: 24 };
}

/** One line of the screen: a longer one would take two, and the lines above could not be found again. */
function fitted(text: string, { progressDetail }: ProgressLine, columns: number): string {
  const { current, total } = progressDetail ?? {};
  if (current === undefined) return text.slice(0, columns - 1);
  if (total === undefined || total <= 0) return `${text} ${decimalSize(current)}`.slice(0, columns - 1);
  const amount = `${decimalSize(current)}/${decimalSize(total)}`;
  const room = Math.min(widestBar, columns - 1 - text.length - amount.length - " [] ".length);
  const bar = room < narrowestBar ? "" : ` [${barOf(current / total, room)}]`;
  return `${text}${bar} ${amount}`.slice(0, columns - 1);
}

function barOf(share: number, width: number): string {
  const done = Math.max(0, Math.min(width, Math.floor(share * width)));
  return `${"=".repeat(done)}>`.slice(0, width).padEnd(width);
}
