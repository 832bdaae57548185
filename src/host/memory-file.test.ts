import { expect, test } from "bun:test";
import { closeSync, openSync, readSync, writeSync } from "node:fs";
import { createMemoryFile, dataRanges, sealMemoryFile } from "./memory-file.ts";
import { errnoNameOf } from "./system-error.ts";

function errnoOf(action: () => unknown): string | undefined {
  try {
    action();
  } catch (error) {
    return errnoNameOf(error);
  }
  return undefined;
}

test("what nobody wrote takes no place in the file", () => {
  const file = createMemoryFile("test", 1024 * 1024);
  try {
    expect([...dataRanges(file, 1024 * 1024)]).toEqual([]);
    writeSync(file, "here", 65536);
    writeSync(file, "there", 524288);
    expect([...dataRanges(file, 1024 * 1024)]).toEqual([
      { start: 65536, end: 69632 },
      { start: 524288, end: 528384 },
    ]);
  } finally {
    closeSync(file);
  }
});

test("a sealed file can be read by everyone and written by nobody, not even when opened anew", () => {
  const file = createMemoryFile("test", 4096);
  try {
    writeSync(file, "kept", 0);
    sealMemoryFile(file);
    expect(errnoOf(() => writeSync(file, "lost", 0))).toBe("EPERM");
    const again = openSync(`/proc/self/fd/${file}`, "r+");
    try {
      expect(errnoOf(() => writeSync(again, "lost", 0))).toBe("EPERM");
      const read = Buffer.alloc(4);
      readSync(again, read, 0, 4, 0);
      expect(read.toString()).toBe("kept");
    } finally {
      closeSync(again);
    }
    expect(errnoOf(() => sealMemoryFile(file))).toBe("EPERM");
  } finally {
    closeSync(file);
  }
});
