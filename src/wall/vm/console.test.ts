import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { formatLogLines } from "../log.ts";
import { consoleTail } from "./console.ts";

const time = "2026-11-30T05:12:28.123456789+00:00";

test("the last lines are put together from single bytes, harmless to a terminal, and a reason stands for them", () => {
  const directory = mkdtempSync(join(tmpdir(), "console-"));
  try {
    const path = join(directory, "log");
    expect(consoleTail(path)).toBe("");
    const lines = Array.from({ length: 3000 }, (_, index) => `line ${index}\r\n`);
    const write = (text: string): void => {
      const bytes = [...Buffer.from(text)].map((byte) => formatLogLines("stdout", Uint8Array.of(byte), time));
      writeFileSync(path, Buffer.concat(bytes));
    };
    write(`${lines.join("")}\u001b[31mred\r\n\nend`);
    expect(consoleTail(path)).toBe("line 2998 | line 2999 | [31mred | end");
    write("[ 1.0] Kernel panic - not syncing\r\n[ 1.1] RAX: 0\r\n[ 1.2] RBX: 0\r\n");
    expect(consoleTail(path)).toBe("[ 1.0] Kernel panic - not syncing");
  } finally {
    rmSync(directory, { recursive: true });
  }
});
