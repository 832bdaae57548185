/** Docker's progress streams: bars that move on a terminal, plain lines elsewhere. */
import type { ProgressLine } from "../../contract/docker.ts";
import { isTerminal } from "../session/terminal.ts";
import { decimalSize } from "./human.ts";
import type { Output } from "./output.ts";
import { visible, visibleLine } from "./visible.ts";

const barWidth = 50;

export class ProgressPrinter {
  readonly #output: Output;
  readonly #moving: boolean;
  /** Ids in the order of their lines on the screen. */
  readonly #ids: string[] = [];

  constructor(output: Output, moving = isTerminal(output.descriptor)) {
    this.#output = output;
    this.#moving = moving;
  }

  async show(line: ProgressLine): Promise<void> {
    if (line.stream !== undefined) return this.#output.write(visible(line.stream));
    const id = line.id === undefined ? undefined : visibleLine(line.id);
    const status = visible(line.status ?? "");
    if (id === undefined || id === "") return this.#output.line(status);
    if (!this.#moving) {
      // Without a terminal only changes of state are of interest.
      if (line.progressDetail?.current === undefined) await this.#output.line(`${id}: ${status}`);
      return;
    }
    const known = this.#ids.indexOf(id);
    const text = `${id}: ${status}${barOf(line)}\x1b[K`;
    if (known < 0) {
      this.#ids.push(id);
      return this.#output.line(text);
    }
    const up = this.#ids.length - known;
    await this.#output.write(`\x1b[${up}A\r${text}\x1b[${up}B\r`);
  }
}

function barOf({ progressDetail }: ProgressLine): string {
  const { current, total } = progressDetail ?? {};
  if (current === undefined) return "";
  if (total === undefined || total <= 0) return ` ${decimalSize(current)}`;
  const done = Math.min(barWidth, Math.floor((current / total) * barWidth));
  const bar = `${"=".repeat(done)}>`.slice(0, barWidth).padEnd(barWidth);
  return ` [${bar}] ${decimalSize(current)}/${decimalSize(total)}`;
}
