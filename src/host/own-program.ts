/** This program itself, for parts of it that run as processes of their own. */
import { join } from "node:path";

/** The command of `hull` with the given arguments: compiled it is one file, in a checkout a script that Bun runs. */
export function ownProgram(...args: readonly string[]): string[] {
  const compiled = import.meta.path.startsWith("/$bunfs/");
  return compiled
    ? [process.execPath, ...args]
    : [process.execPath, join(import.meta.dir, "../cli/main.ts"), ...args];
}
