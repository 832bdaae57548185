/** Connecting to QEMU's sockets. */
import { closeSync, fstatSync, openSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { errnoNameOf } from "../../host/system-error.ts";

/**
 * Connects to a socket of QEMU's. It listens a moment after it was started, and again a moment after the last
 * connection has gone: until `deadline` (milliseconds since the epoch) a refusal may be temporary.
 */
export async function dial(path: string, deadline: number, signal?: AbortSignal): Promise<Socket> {
  for (;;) {
    const error = await tryOnce(path);
    if (!(error instanceof Error)) return error;
    const temporary = ["ENOENT", "ECONNREFUSED", "EAGAIN"].includes(errnoNameOf(error) ?? "");
    if (!temporary || signal?.aborted || Date.now() > deadline) throw error;
    await Bun.sleep(2);
  }
}

/** O_PATH | O_NOFOLLOW (Linux, asm-generic/fcntl.h), the first of which Node does not name. */
const placeOnly = 0o10400000;

/**
 * The socket, or why there is none. QEMU can put what it likes in the place of its socket, and the daemon can
 * reach everybody's: what is connected to is what was looked at, and no symbolic link.
 */
async function tryOnce(path: string): Promise<Socket | Error> {
  let place: number;
  try {
    place = openSync(path, placeOnly);
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
  try {
    if (!fstatSync(place).isSocket()) return new Error(`${path} is no socket`);
    const socket = connect(`/proc/self/fd/${place}`);
    const error = await new Promise<Error | undefined>((resolve) => {
      socket.once("connect", () => resolve(undefined));
      socket.once("error", resolve);
    });
    socket.removeAllListeners();
    return error ?? socket;
  } finally {
    closeSync(place);
  }
}
