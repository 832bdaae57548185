/** A file system whose server is there and never answers, as one of a network whose machine is gone. */
import { expect } from "bun:test";
import { closeSync, mkdtempSync, openSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runProgram } from "./daemon.ts";

/** Whoever waits for it goes on, with an error, once it is disposed of. */
export async function hungMount(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = mkdtempSync(join(tmpdir(), "h-"));
  // The requests are never read.
  const server = openSync("/dev/fuse", "r+");
  const child = Bun.spawn(
    ["mount", "-i", "-t", "fuse", "-o", "fd=3,rootmode=40000,user_id=0,group_id=0", "hung", path],
    { stdio: ["ignore", "ignore", "inherit", server] },
  );
  expect(await child.exited).toBe(0);
  return {
    path,
    async [Symbol.asyncDispose]() {
      closeSync(server);
      await runProgram(["umount", "--lazy", path]);
      rmdirSync(path);
    },
  };
}
