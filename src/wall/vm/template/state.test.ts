import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { layoutOf, type VmLayout } from "../layout.ts";
import { loadState, saveState } from "./state.ts";

let directory = "";
let layout: VmLayout;
const servers: Server[] = [];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "state-"));
  layout = layoutOf({ runtimeDirectory: directory, directory });
  mkdirSync(layout.sockets);
});
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
  rmSync(directory, { recursive: true });
});

async function listen(path: string, server: Server): Promise<void> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(path, resolve));
}

/** A monitor that answers `silent` never. */
async function monitor(silent: string): Promise<void> {
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.write('{"QMP": {"version": {}, "capabilities": []}}\n');
    socket.on("data", (data) => {
      for (const line of data.toString().trim().split("\n"))
        if (JSON.parse(line).execute !== silent) socket.write('{"return": {}}\n');
    });
  });
  await listen(layout.monitorSocket, server);
}

const never = new AbortController().signal;

test("a QEMU that does not answer is not waited for for ever", async () => {
  await monitor("migrate-incoming");
  const loading = loadState(layout, { timeout: 200, signal: never });
  await expect(loading).rejects.toThrow("did not answer migrate-incoming in time");
});

test("a QEMU that sends no state is not waited for for ever, and its end is seen", async () => {
  await monitor("");
  await expect(saveState(layout, { timeout: 300, signal: never })).rejects.toThrow("sent no state in time");
  const gone = new AbortController();
  const saving = saveState(layout, { timeout: 60_000, signal: gone.signal });
  gone.abort();
  await expect(saving).rejects.toThrow("QEMU ended");
});
