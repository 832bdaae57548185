/**
 * QEMU's state of the devices: saved through a socket of the daemon's, read from a descriptor that QEMU was started
 * with, for it may start no process and make no file or socket. The guest's memory is not part of it
 * (x-ignore-shared).
 */
import { chmod } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import * as v from "valibot";
import { jailed, type VmLayout } from "../layout.ts";
import { migrationSchema, qmp } from "../qmp.ts";
import type { Stopwatch } from "../stopwatch.ts";

/** A machine with the most devices has 10 MB. */
const stateLimit = 256 * 1024 * 1024;
const ignoreMemory = {
  execute: "migrate-set-capabilities",
  arguments: { capabilities: [{ capability: "x-ignore-shared", state: true }] },
};
const uri = `unix:${jailed.stateSocket}`;

export interface StateOptions {
  readonly timeout: number;
  /** Whether the state comes of a machine whose memory was left out by QEMU itself; by default it does. */
  readonly sharedMemory?: boolean;
  /** The QEMU is a copy of one that stood still (process.ts), and has its state. */
  readonly isProcess?: boolean;
  /** QEMU has ended. */
  readonly signal: AbortSignal;
  readonly watch?: Stopwatch | undefined;
}

/** Stops the machine for good and resolves with the state of its devices: a copy runs on from there at once. */
export async function saveState(layout: VmLayout, options: StateOptions): Promise<Buffer> {
  const { stateSocket, monitorSocket } = layout;
  const received = Promise.withResolvers<Buffer>();
  received.promise.catch(() => undefined);
  const server = createServer((socket) => receive(socket).then(received.resolve, received.reject));
  server.on("error", received.reject);
  const abandon = (): void => received.reject(new Error("QEMU ended"));
  options.signal.addEventListener("abort", abandon);
  const timer = setTimeout(() => received.reject(new Error("QEMU sent no state in time")), options.timeout);
  try {
    await new Promise<void>((resolve) => server.listen(stateSocket, resolve));
    // Only root and QEMU's user reach into the directory that it is in.
    await chmod(stateSocket, 0o666);
    await qmp(monitorSocket, [ignoreMemory, { execute: "migrate", arguments: { uri } }], {
      ...options,
      dialTimeout: options.timeout,
    });
    const state = await received.promise;
    const end = v.parse(migrationSchema, await qmp(monitorSocket, "query-migrate", options));
    if (end.status !== "completed") throw new Error(`QEMU says ${end["error-desc"] ?? end.status}`);
    return state;
  } finally {
    clearTimeout(timer);
    options.signal.removeEventListener("abort", abandon);
    server.close();
  }
}

/** Has a machine that waits for it read its state. The machine then runs, or QEMU ends. */
export async function loadState(
  layout: VmLayout,
  { timeout, signal, watch, sharedMemory = true, isProcess = false }: StateOptions,
): Promise<void> {
  const load = { execute: "migrate-incoming", arguments: { uri: jailed.devices } };
  const read = sharedMemory ? [ignoreMemory, load] : [load];
  const commands = isProcess ? [{ execute: "cont" }] : read;
  await qmp(layout.monitorSocket, commands, { timeout, dialTimeout: timeout, signal });
  watch?.lap("qemu");
}

function receive(socket: Socket): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  return new Promise((resolve, reject) => {
    socket.on("data", (data: Buffer) => {
      parts.push(data);
      size += data.length;
      if (size > stateLimit) socket.destroy(new Error("QEMU's state has no end"));
    });
    socket.on("error", reject);
    socket.on("end", () => resolve(Buffer.concat(parts)));
  });
}
