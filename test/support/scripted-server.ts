/** A server on a unix socket that says what the test tells it to, byte for byte: for clients' tests. */
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface ScriptedServer extends AsyncDisposable {
  readonly socket: string;
  /** How many connections there have been. */
  readonly connections: number;
}

/** `script` gets each connection when its first request head is complete, and the head. */
export async function scriptedServer(
  script: (connection: Socket, head: string) => void | Promise<void>,
): Promise<ScriptedServer> {
  const directory = mkdtempSync(join(tmpdir(), "hull-scripted-"));
  const socket = join(directory, "s.sock");
  const open = new Set<Socket>();
  let connections = 0;
  const server: Server = createServer({ allowHalfOpen: true }, (connection) => {
    connections += 1;
    open.add(connection);
    connection.on("close", () => open.delete(connection));
    // A client that goes away is part of the tests.
    connection.on("error", () => undefined);
    let head = "";
    const listen = (data: Buffer) => {
      head += data.toString("latin1");
      const end = head.indexOf("\r\n\r\n");
      if (end < 0) return;
      connection.off("data", listen);
      connection.pause();
      const rest = head.slice(end + 4);
      if (rest !== "") connection.unshift(Buffer.from(rest, "latin1"));
      void script(connection, head.slice(0, end));
    };
    connection.on("data", listen);
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  return {
    socket,
    get connections() {
      return connections;
    },
    async [Symbol.asyncDispose]() {
      for (const connection of open) connection.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
