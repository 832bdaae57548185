/** The whole state of a machine that stands still: its memory as a file, its devices as QEMU's state of them. */
import { closeSync } from "node:fs";
import { chmod, rm } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import * as v from "valibot";
import { createMemoryFile, sealMemoryFile, usedBytes, writeAt } from "../../../host/memory-file.ts";
import { memoryNames } from "../arguments.ts";
import { jailed, type VmLayout } from "../layout.ts";
import { migrationSchema, qmp } from "../qmp.ts";
import type { MachineImage } from "../template/files.ts";
import { MemoryStream } from "./stream.ts";

/** Milliseconds. */
const saveTimeout = 120_000;
const pollInterval = 2;
/** Bytes per second: as fast as it goes. By default QEMU spares a network that is not there. */
const bandwidth = 2 ** 40;
/** A machine that came of a template was told otherwise when it was. */
const everything = {
  execute: "migrate-set-capabilities",
  arguments: { capabilities: [{ capability: "x-ignore-shared", state: false }] },
};
const uri = `unix:${jailed.stateSocket}`;

/** The machine is stopped, and goes on with `cont` afterwards. Whoever gets the image closes its memory. */
export async function takeImage(
  layout: VmLayout,
  memoryBytes: number,
  signal: AbortSignal,
): Promise<MachineImage> {
  const memory = createMemoryFile("machine", memoryBytes);
  let done = false;
  try {
    const devices = await receiveState(layout, memory, memoryBytes, signal);
    sealMemoryFile(memory);
    done = true;
    return { memory, memoryBytes, usedBytes: usedBytes(memory, memoryBytes), devices };
  } finally {
    if (!done) closeSync(memory);
  }
}

async function receiveState(
  layout: VmLayout,
  memory: number,
  memoryBytes: number,
  signal: AbortSignal,
): Promise<Buffer> {
  const { stateSocket, monitorSocket } = layout;
  const received = Promise.withResolvers<Buffer>();
  received.promise.catch(() => undefined);
  const stream = new MemoryStream({
    memoryBytes,
    names: memoryNames,
    write: (data, offset) => writeAt(memory, data, offset),
  });
  // A QEMU that never says that it is done is not asked for ever.
  const over = new AbortController();
  let first: Socket | undefined;
  const server = createServer((socket) => {
    // QEMU can connect as often as it likes: nothing is kept of it.
    if (first !== undefined) return void socket.destroy();
    first = socket;
    receive(socket, stream).then(received.resolve, received.reject);
  });
  server.on("error", received.reject);
  const abandon = (): void => received.reject(new Error("QEMU ended"));
  signal.addEventListener("abort", abandon);
  const timer = setTimeout(() => received.reject(new Error("QEMU sent no state in time")), saveTimeout);
  try {
    // What an earlier save, or the loading of a state, left there.
    await rm(stateSocket, { force: true });
    await new Promise<void>((resolve) => server.listen(stateSocket, resolve));
    // Only root and QEMU's user reach into the directory that it is in.
    await chmod(stateSocket, 0o666);
    const fast = { execute: "migrate-set-parameters", arguments: { "max-bandwidth": bandwidth } };
    await qmp(monitorSocket, [fast, everything, { execute: "migrate", arguments: { uri } }], { signal });
    const state = await Promise.race([
      received.promise,
      failureOf(monitorSocket, AbortSignal.any([signal, over.signal])),
    ]);
    await settled(monitorSocket, signal);
    return state;
  } finally {
    over.abort();
    clearTimeout(timer);
    signal.removeEventListener("abort", abandon);
    first?.destroy();
    server.close();
    await rm(stateSocket, { force: true });
  }
}

async function migration(monitorSocket: string, signal: AbortSignal) {
  return v.parse(migrationSchema, await qmp(monitorSocket, "query-migrate", { signal }));
}

/** Rejects when QEMU gives up; a stream that only breaks off would say less. */
async function failureOf(monitorSocket: string, signal: AbortSignal): Promise<never> {
  for (;;) {
    const { status, "error-desc": why } = await migration(monitorSocket, signal);
    if (status === "failed" || status === "cancelled") throw new Error(`QEMU says ${why ?? status}`);
    if (status === "completed") return new Promise(() => undefined);
    await Bun.sleep(50);
  }
}

/** All is sent; a moment later QEMU says so, and only then can the machine go on. */
async function settled(monitorSocket: string, signal: AbortSignal): Promise<void> {
  for (const deadline = Date.now() + saveTimeout; ; await Bun.sleep(pollInterval)) {
    const { status, "error-desc": why } = await migration(monitorSocket, signal);
    if (status === "completed") return;
    if (status === "failed" || status === "cancelled") throw new Error(`QEMU says ${why ?? status}`);
    if (Date.now() > deadline) throw new Error(`QEMU's state stays ${status}`);
  }
}

function receive(socket: Socket, stream: MemoryStream): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    socket.on("data", (data: Buffer) => {
      try {
        stream.push(data);
      } catch (error) {
        socket.destroy();
        reject(error);
      }
    });
    socket.on("error", reject);
    socket.on("close", () => reject(new Error("QEMU's state broke off")));
    socket.on("end", () => {
      try {
        resolve(stream.finish());
      } catch (error) {
        reject(error);
      }
    });
  });
}
