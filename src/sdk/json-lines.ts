/** Streams of JSON values, one a line: progress, events, stats. */
import { ProtocolError } from "./api-error.ts";
import type { Answer } from "./transport.ts";

const lineLimit = 4 * 1024 * 1024;
const newline = 10;

/** Yields each value as its line is complete. Leaving early drops the connection. */
export async function* jsonLines(answer: Answer): AsyncGenerator<unknown, void, void> {
  const waiting: Uint8Array[] = [];
  let waitingBytes = 0;
  let ended = false;
  try {
    for (;;) {
      const bytes = await answer.body.read();
      if (bytes === undefined) break;
      let start = 0;
      for (let end = bytes.indexOf(newline); end >= 0; end = bytes.indexOf(newline, start)) {
        waiting.push(bytes.subarray(start, end));
        const line = Buffer.concat(waiting.splice(0)).toString("utf8").trim();
        waitingBytes = 0;
        start = end + 1;
        if (line !== "") yield parseLine(line);
      }
      if (start < bytes.length) {
        waiting.push(bytes.subarray(start));
        waitingBytes += bytes.length - start;
        if (waitingBytes > lineLimit)
          throw new ProtocolError(`a line of the daemon's answer is over ${lineLimit} bytes`);
      }
    }
    ended = true;
    const rest = Buffer.concat(waiting).toString("utf8").trim();
    if (rest !== "") yield parseLine(rest);
  } finally {
    if (!ended) answer.cancel();
  }
}

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    throw new ProtocolError(`the daemon sent a line that is not JSON: ${line.slice(0, 80)}`, {
      cause: error,
    });
  }
}
