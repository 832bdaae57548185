/**
 * The log of a workload, byte for byte: the format of CRI log files, which conmon writes as `k8s-file`.
 * Source: kubernetes/design-proposals-archive, node/kubelet-cri-logging.md.
 *
 *   2026-11-30T05:12:28.123456789+00:00 stdout F a whole line
 *   2026-11-30T05:12:28.123456789+00:00 stdout P a part of a line, its newline is not in the output
 *
 * The content of an `F` line was followed by a newline in the output, that of a `P` line was not.
 */

export interface LogLine {
  /** RFC 3339 with nanoseconds, as written. */
  readonly time: string;
  readonly stream: "stdout" | "stderr";
  /** The bytes as the workload wrote them, the newline of a full line included. */
  readonly data: Uint8Array;
}

const newline = 10;
const space = 32;

/** Parses one line of a log file, given without its final newline; undefined for a line that is not of the format. */
export function parseLogLine(line: Uint8Array): LogLine | undefined {
  const afterTime = line.indexOf(space);
  const afterStream = line.indexOf(space, afterTime + 1);
  if (afterTime < 1 || afterStream < 0 || line.length < afterStream + 3 || line[afterStream + 2] !== space)
    return undefined;
  const stream = asciiOf(line.subarray(afterTime + 1, afterStream));
  const tag = line[afterStream + 1];
  if ((stream !== "stdout" && stream !== "stderr") || (tag !== 0x46 && tag !== 0x50)) return undefined;
  const content = line.subarray(afterStream + 3);
  const data = new Uint8Array(content.length + (tag === 0x46 ? 1 : 0));
  data.set(content);
  if (tag === 0x46) data[content.length] = newline;
  return { time: asciiOf(line.subarray(0, afterTime)), stream, data };
}

/** Encodes output as log lines: one `F` line per newline in `data`, and a `P` line for the rest. */
export function formatLogLines(stream: "stdout" | "stderr", data: Uint8Array, time: string): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let start = 0; start < data.length; ) {
    const end = data.indexOf(newline, start);
    const full = end >= 0;
    const content = data.subarray(start, full ? end : data.length);
    parts.push(Buffer.from(`${time} ${stream} ${full ? "F" : "P"} `), content, Buffer.of(newline));
    start = full ? end + 1 : data.length;
  }
  return Buffer.concat(parts);
}

function asciiOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}
