/** The last words of a guest's console, for errors. */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { errnoNameOf } from "../../host/system-error.ts";
import { parseLogLine } from "../log.ts";

const tailBytes = 8 * 1024;
const tailLines = 6;

/** The last lines of a console's log, on one line; empty when there is none. */
export function consoleTail(path: string): string {
  let descriptor: number;
  try {
    descriptor = openSync(path, "r");
  } catch (error) {
    if (errnoNameOf(error) === "ENOENT") return "";
    throw error;
  }
  try {
    const { size } = fstatSync(descriptor);
    const buffer = Buffer.alloc(Math.min(size, tailBytes));
    const length = readSync(descriptor, buffer, 0, buffer.length, size - buffer.length);
    return describe(buffer.subarray(0, length));
  } finally {
    closeSync(descriptor);
  }
}

function describe(log: Buffer): string {
  const lines = log.toString("latin1").split("\n");
  const words = lines.flatMap((line) => {
    const data = parseLogLine(Buffer.from(line, "latin1"))?.data;
    // The guest writes what it likes: only what is harmless on a terminal is shown.
    const text =
      data === undefined
        ? ""
        : Buffer.from(data)
            .toString("latin1")
            .replaceAll(/[^ -~]/g, "")
            .trim();
    return text === "" ? [] : [text.slice(0, 200)];
  });
  return words.slice(-tailLines).join(" | ");
}
