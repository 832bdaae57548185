/** A file or standard input, to be uploaded. */
import { statSync } from "node:fs";
import { messageOf } from "../contract/errors.ts";
import type { Source } from "../sdk/main.ts";

export function fileSource(path: string): Source {
  let size: number | undefined;
  try {
    const status = statSync(path);
    if (status.isDirectory()) throw new Error("it is a directory, not an archive");
    // The size of a pipe is not known before its end.
    if (status.isFile()) size = status.size;
  } catch (error) {
    throw new Error(`cannot read ${path}: ${messageOf(error)}`, { cause: error });
  }
  return { data: Bun.file(path).stream(), size };
}

/** Its size is not known: it may be a pipe, or a file that is read from its middle on. */
export function inputSource(): Source {
  return { data: Bun.stdin.stream() };
}
