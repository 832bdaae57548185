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

test("what is below paths that are longer than the kernel takes counts, too", async () => {
  const directory = mkdtempSync(join(tmpdir(), "h-"));
  const script = `for i in $(seq 40); do mkdir ${"d".repeat(250)} && cd -P ${"d".repeat(250)} || exit 1; done; head -c 8192 /dev/zero >file`;
  const made = Bun.spawnSync(["busybox", "sh", "-c", script], { cwd: directory });
  expect(made.exitCode).toBe(0);
  expect(await bytesBelow(directory)).toBe(8192);
  rmSync(directory, { recursive: true });
});
