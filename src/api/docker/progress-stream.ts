/** Docker's stream of progress lines, as pulls, pushes, imports and loads answer with it. */
import type { ProgressLine } from "../../contract/docker.ts";
import { messageOf } from "../../contract/errors.ts";
import type { ByteChannel } from "../channel.ts";
import type { Exchange } from "../exchange.ts";

const barWidth = 50;

/**
 * The status is 200 once the first line is out, so a later failure is the last line; a failure before any line is
 * an answer of its own.
 */
export class ProgressStream {
  readonly #exchange: Exchange;
  #channel: ByteChannel | undefined;
  #last: Promise<void> = Promise.resolve();

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
  }

  readonly send = (line: ProgressLine): void => {
    this.#channel ??= this.#exchange.sendStream("application/json");
    const channel = this.#channel;
    const bytes = Buffer.from(`${JSON.stringify(asDockerWritesIt(line))}\r\n`);
    this.#last = this.#last.then(() => channel.write(bytes));
  };

  async run(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (this.#channel === undefined) throw error;
      this.send({ error: messageOf(error), errorDetail: { message: messageOf(error) } });
    }
    await this.#last;
    // Work that had nothing to say is answered too.
    this.#channel ??= this.#exchange.sendStream("application/json");
    this.#channel.end();
  }
}

/** A line about a layer always has the detail, empty or not, and the bar as text for clients that draw none. */
function asDockerWritesIt({ status, ...line }: ProgressLine): ProgressLine {
  const said = status === undefined || status === "" ? {} : { status };
  if (line.id === undefined) return { ...said, ...line };
  const { current, total } = line.progressDetail ?? {};
  if (current === undefined) return { ...said, progressDetail: {}, ...line };
  return { ...said, ...line, progress: progressText(current, total ?? 0) };
}

/** `[=====>     ]  1.2MB/6MB`. Source: moby, pkg/jsonmessage. */
function progressText(current: number, total: number): string {
  if (total <= 0) return size(current).padStart(8);
  const done = Math.min(barWidth, Math.floor((current / total) * barWidth));
  const head = done < barWidth ? ">" : "";
  const bar = `${"=".repeat(done)}${head}`.padEnd(barWidth);
  return `[${bar}]  ${size(current).padStart(8)}/${size(total)}`;
}

function size(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${Number(value.toPrecision(4))}${units[unit]}`;
}
