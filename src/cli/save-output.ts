/** Writes an archive to a file, whole or not at all, or to standard output. */
import { closeSync, fsyncSync, openSync, renameSync, rmSync, statSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { messageOf } from "../contract/errors.ts";
import type { Context } from "./context.ts";
import { UsageError } from "./parse/options.ts";
import { isTerminal } from "./session/terminal.ts";

/** To be called before the archive is asked for. */
export function checkOutput(path: string | undefined): void {
  if (path === undefined) {
    if (isTerminal(1)) throw new UsageError("standard output is a terminal: redirect it, or use --output");
    return;
  }
  const status = statSync(path, { throwIfNoEntry: false });
  if (status?.isDirectory()) throw new UsageError(`${path} is a directory`);
  if (!statSync(dirname(path), { throwIfNoEntry: false })?.isDirectory())
    throw new UsageError(`the directory ${dirname(path)} does not exist`);
}

export async function saveOutput(
  context: Context,
  path: string | undefined,
  bytes: AsyncIterable<Uint8Array>,
): Promise<void> {
  if (path === undefined) {
    for await (const chunk of bytes) await context.stdout.write(chunk);
    return;
  }
  // A pipe or a device is written to as it is.
  const status = statSync(path, { throwIfNoEntry: false });
  const draft = status === undefined || status.isFile() ? `${path}.hull-${process.pid}` : undefined;
  try {
    const file = openSync(draft ?? path, "w");
    try {
      for await (const chunk of bytes)
        for (let done = 0; done < chunk.length; ) done += writeSync(file, chunk, done);
      if (draft !== undefined) fsyncSync(file);
    } finally {
      closeSync(file);
    }
    if (draft !== undefined) renameSync(draft, path);
  } catch (error) {
    if (draft !== undefined) rmSync(draft, { force: true });
    if (error instanceof Error && "syscall" in error)
      throw new Error(`cannot write ${path}: ${messageOf(error)}`, { cause: error });
    throw error;
  }
}
