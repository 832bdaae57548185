import { expect, test } from "bun:test";
import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bytesBelow } from "./disk-usage.ts";

test("a file counts once, by what it takes, whatever its names and size", async () => {
  const directory = mkdtempSync(join(tmpdir(), "h-"));
  const at = (name: string): string => join(directory, name);
  mkdirSync(at("below"));
  writeFileSync(at("one"), Buffer.alloc(8192, 1));
  linkSync(at("one"), at("below/other"));
  symlinkSync("/", at("link"));
  writeFileSync(at("sparse"), "");
  truncateSync(at("sparse"), 2 ** 33);
  writeFileSync(at("left-out"), Buffer.alloc(4096, 1));
  expect(await bytesBelow(directory, new Set([at("left-out")]))).toBe(8192);
  rmSync(directory, { recursive: true });
});
