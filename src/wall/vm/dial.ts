/** Connecting to QEMU's sockets. */
import { connect, type Socket } from "node:net";
import { errnoNameOf } from "../../host/system-error.ts";

/**
 * Connects to a socket of QEMU's. It listens a moment after it was started, and again a moment after the last
 * connection has gone: until `deadline` (milliseconds since the epoch) a refusal may be temporary.
 */
export async function dial(path: string, deadline: number, signal?: AbortSignal): Promise<Socket> {
  for (;;) {
    const socket = connect(path);
    const error = await new Promise<Error | undefined>((resolve) => {
      socket.once("connect", () => resolve(undefined));
      socket.once("error", resolve);
    });
    socket.removeAllListeners();
    if (error === undefined) return socket;
    const temporary = ["ENOENT", "ECONNREFUSED", "EAGAIN"].includes(errnoNameOf(error) ?? "");
    if (!temporary || signal?.aborted || Date.now() > deadline) throw error;
    await Bun.sleep(2);
  }
}
