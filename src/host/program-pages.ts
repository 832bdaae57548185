/**
 * The running program's own pages. Code that ran once, at start or in a burst, stays mapped although the page
 * cache holds it anyway: letting go of it costs a minor fault when it runs again.
 */
import { readFileSync, readlinkSync } from "node:fs";
import { check, libc, systemCall } from "./libc.ts";

const dontNeed = 4;

export interface Mapping {
  readonly start: number;
  readonly length: number;
}

/** Unmaps the program file's clean pages from this process; the kernel maps them again as they are used. */
export function releaseProgramPages(): void {
  const program = readlinkSync("/proc/self/exe");
  for (const { start, length } of cleanMappings(readFileSync("/proc/self/smaps", "utf8"), program))
    check(libc.syscall(systemCall.madvise, start, length, dontNeed, 0, 0, 0), "madvise", program);
}

/**
 * The mappings of `path` in the text of an smaps file that hold nothing but the file's own bytes. A page that
 * was written to (relocations) counts as anonymous, and would be lost. What is only dirty is the file's own, of a program
 * that was installed a moment ago and is not on the disk yet: the page cache keeps it.
 */
export function cleanMappings(smaps: string, path: string): Mapping[] {
  const clean: Mapping[] = [];
  let current: { start: number; end: number; isOurs: boolean } | undefined;
  let dirty = true;
  const finish = (): void => {
    if (current?.isOurs && !dirty) clean.push({ start: current.start, length: current.end - current.start });
  };
  for (const line of smaps.split("\n")) {
    const header = /^([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ \S+ *(.*)$/.exec(line);
    if (header !== null) {
      finish();
      const [, start = "0", end = "0", mode = "", file] = header;
      const isOurs = file === path && !mode.includes("w");
      current = { start: Number.parseInt(start, 16), end: Number.parseInt(end, 16), isOurs };
      dirty = false;
    } else if (/^(?:Anonymous|Locked): +[1-9]/.test(line)) dirty = true;
  }
  finish();
  return clean;
}
