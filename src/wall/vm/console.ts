/** The last words of a guest's console, for errors. */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { errnoNameOf } from "../../host/system-error.ts";
import { parseLogLine } from "../log.ts";

/** A serial port's output comes byte by byte, and so does its log: 50 bytes for one. */
const tailBytes = 128 * 1024;
const tailLines = 4;
/** Lines that say why, among registers and call traces. */
const reasons = /Kernel panic|agent: |qemu|Out of memory/i;

/** QEMU says so of each network card that is not used. */
const meaningless = /warning: nic \S+ has no peer/;

/** The lines of a console's log that say why it ended, or the last ones, on one line; empty when there is none. */
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
  const data: Uint8Array[] = [];
  for (let start = 0, end = log.indexOf(10); end >= 0; start = end + 1, end = log.indexOf(10, start))
    data.push(parseLogLine(log.subarray(start, end))?.data ?? new Uint8Array());
  const lines = Buffer.concat(data).toString("latin1").split("\n");
  // The guest writes what it likes: only what is harmless on a terminal is shown.
  const words = lines
    .map((line) =>
      line
        .replaceAll(/[^ -~]/g, "")
        .trim()
        .slice(0, 200),
    )
    .filter((line) => line !== "" && !meaningless.test(line));
  const telling = words.filter((line) => reasons.test(line));
  return (telling.length > 0 ? telling : words).slice(-tailLines).join(" | ");
}
