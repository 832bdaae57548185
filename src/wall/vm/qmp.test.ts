import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as v from "valibot";
import { migrationSchema, qmp } from "./qmp.ts";

const greeting = '{"QMP": {"version": {}, "capabilities": []}}\n';

let directory = "";
let server: Server | undefined;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "qmp-"));
});
afterEach(() => {
  server?.close();
  rmSync(directory, { recursive: true });
});

/** A monitor that greets with `first` and answers each command by `answer`. */
async function monitor(first: string, answer: (command: string) => string | undefined): Promise<string> {
  const path = join(directory, "socket");
  server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.write(first);
    socket.on("data", (data) => {
      for (const line of data.toString().trim().split("\n")) {
        const reply = answer(String(JSON.parse(line).execute));
        if (reply === undefined) socket.destroy();
        else socket.write(reply);
      }
    });
  });
  await new Promise<void>((resolve) => server?.listen(path, resolve));
  return path;
}

test("a command's answer is found among events", async () => {
  const path = await monitor(greeting, (command) =>
    command === "query-status" ? '{"event": "STOP"}\n{"return": {"status": "paused"}}\n' : '{"return": {}}\n',
  );
  expect(await qmp(path, "query-status")).toEqual({ status: "paused" });
});

test("a refusal says why", async () => {
  const path = await monitor(greeting, (command) =>
    command === "stop" ? '{"error": {"class": "GenericError", "desc": "no"}}\n' : '{"return": {}}\n',
  );
  expect(qmp(path, "stop")).rejects.toThrow("refused stop: no");
});

test("what is no QMP, too long, cut off or silent is an error, not a wait", async () => {
  const broken: readonly (readonly [string, string | undefined, string])[] = [
    ["SSH-2.0-OpenSSH\n", "", "something else than QMP"],
    ['{"unknown": 1}\n', "", "something else than QMP"],
    ["x".repeat(300_000), "", "too long"],
    [greeting, undefined, "closed the connection"],
    [greeting, "", "did not answer stop in time"],
  ];
  for (const [first, answer, words] of broken) {
    const path = await monitor(first, () => answer);
    await expect(qmp(path, "stop", { timeout: 200 })).rejects.toThrow(words);
    await new Promise((resolve) => server?.close(resolve));
  }
  await expect(qmp(join(directory, "nothing"), "stop", { dialTimeout: 20 })).rejects.toThrow(
    "cannot be reached",
  );
});

test("whatever a captured QEMU says in an error is harmless on a terminal", async () => {
  const codes = "\u001b]0;title\u0007".repeat(100);
  const path = await monitor(greeting, (command) => {
    if (command === "qmp_capabilities") return '{"return": {}}\n';
    if (command === "stop") return `${JSON.stringify(codes)}\n`;
    return `${JSON.stringify({ return: { status: codes, "error-desc": codes } })}\n`;
  });
  const migration = v.parse(migrationSchema, await qmp(path, "query-migrate"));
  const refused = await qmp(path, "stop").catch(String);
  for (const said of [migration.status, migration["error-desc"] ?? codes, String(refused)]) {
    expect(said).toContain("title");
    expect(said).not.toMatch(/\p{Cc}/u);
    expect(said.length).toBeLessThan(700);
  }
});
