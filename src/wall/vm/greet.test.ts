/** Guests and QEMUs that never answer, against sockets of the test's own. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isHullError } from "../../contract/errors.ts";
import type { ExitStatus, SandboxSpec } from "../wall.ts";
import { greet, RestoreFailure } from "./greet.ts";
import { layoutOf, type VmLayout } from "./layout.ts";
import type { TemplateLease } from "./template/loaded.ts";

let directory = "";
let layout: VmLayout;
const servers: Server[] = [];
const sockets: Socket[] = [];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "greet-"));
  layout = layoutOf({ runtimeDirectory: directory, directory });
  mkdirSync(layout.sockets);
});
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) server.close();
  rmSync(directory, { recursive: true });
});

async function listen(path: string, serve: (socket: Socket) => void): Promise<void> {
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => undefined);
    serve(socket);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(path, resolve));
}

/** Takes every command. */
function monitor(socket: Socket): void {
  socket.write('{"QMP": {}}\n');
  socket.on("data", (data) => {
    for (const _ of data.toString().trim().split("\n")) socket.write('{"return": {}}\n');
  });
}

const spec: SandboxSpec = {
  id: "0".repeat(64),
  name: "silent",
  directory: "/",
  runtimeDirectory: "/",
  layers: [],
  process: {
    args: [],
    env: [],
    cwd: "/",
    user: "",
    capabilities: [],
    terminal: false,
    stdin: false,
    stdinOnce: false,
  },
  hostname: "vm",
  readOnlyRoot: false,
  resources: { memoryBytes: 0, cpus: 0, pids: 0 },
  logPath: "/no/log",
};
const template: TemplateLease = {
  key: "",
  size: { memoryBytes: 0, processors: 1, layerPlaces: 6 },
  image: { memory: -1, memoryBytes: 0, usedBytes: 0, devices: Buffer.of(), disk: -1 },
  openDevices: () => -1,
  openWorkingSet: () => undefined,
  learn: () => undefined,
  [Symbol.dispose]: () => undefined,
};
const running = { wait: () => new Promise<ExitStatus>(() => undefined) };
const timeouts = { boot: 150, restore: 150 };

function consoleSays(words: string): void {
  writeFileSync(layout.console, `2026-01-01T00:00:00.000000000+00:00 stdout F ${words}\n`);
}

test("a guest that never answers after its boot is given up, with the last words of its console", async () => {
  await listen(layout.agentSocket, (socket) => void socket.resume());
  consoleSays("Kernel panic - not syncing: VFS: no init");
  const error = await greet(spec, layout, running, { timeouts }).catch((reason: unknown) => reason);
  expect(isHullError(error, "startFailed")).toBe(true);
  expect(String(error)).toContain("silent");
  expect(String(error)).toContain("did not answer in time");
  expect(String(error)).toContain("(console: Kernel panic - not syncing: VFS: no init)");
});

test("a guest that never answers after its template was loaded has a template to blame", async () => {
  await listen(layout.monitorSocket, monitor);
  await listen(layout.agentSocket, (socket) => void socket.resume());
  consoleSays("rcu: INFO: rcu_sched self-detected stall on CPU");
  const error = await greet(spec, layout, running, { timeouts, template }).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(RestoreFailure);
  expect(String(error)).toContain("did not answer in time (console: rcu: INFO");
});

test("a QEMU that never takes its template is given up", async () => {
  await listen(layout.monitorSocket, (socket) => void socket.resume());
  const error = await greet(spec, layout, running, { timeouts, template }).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(RestoreFailure);
  expect(String(error)).toContain("did not answer migrate-set-capabilities in time");
});

test("a guest that sends anything but a welcome, without end, is given up before it fills memory", async () => {
  await listen(layout.agentSocket, (socket) => {
    const noise = Buffer.alloc(64 * 1024, 0xa5);
    const timer = setInterval(() => {
      if (socket.destroyed) clearInterval(timer);
      else if (socket.writableLength < noise.length) socket.write(noise);
    }, 0);
  });
  const timeouts = { boot: 60_000, restore: 60_000 };
  const error = await greet(spec, layout, running, { timeouts }).catch((reason: unknown) => reason);
  expect(String(error)).toContain("does not answer the greeting");
}, 60_000);

test("the end of QEMU is named, whatever broke first", async () => {
  const gone = Promise.withResolvers<ExitStatus>();
  await listen(layout.agentSocket, (socket) => {
    socket.destroy();
    setTimeout(() => gone.resolve({ code: 137, oomKilled: true, finishedAt: 0 }), 20);
  });
  const ending = { wait: () => gone.promise };
  await expect(greet(spec, layout, ending, { timeouts: { boot: 5000, restore: 5000 } })).rejects.toThrow(
    "QEMU ended",
  );
});
