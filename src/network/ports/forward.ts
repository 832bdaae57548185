/** Connections that the packet filter cannot lead on are passed on byte by byte, each direction at its reader's pace. */
import { connect, type Socket } from "node:net";

export interface Destination {
  readonly host: string;
  readonly port: number;
}

export interface Forwarder extends Disposable {
  /** Connections go there from now on; those to another destination end. */
  lead(to: Destination): void;
}

/** Listens on an IPv6 address and port of the host. Throws when they are taken. */
export function forwardConnections(hostname: string, port: number, first: Destination): Forwarder {
  let to = first;
  // Node's own listener tells of a taken port only later; this one throws at once.
  const sockets = new Set<Bun.Socket<Passage>>();
  // Bun's types do not know `ipv6Only`, which Bun does.
  const address: Bun.TCPSocketListenOptions<Passage> & { readonly ipv6Only: boolean } = {
    hostname,
    port,
    ipv6Only: true,
    allowHalfOpen: true,
    socket: {
      open(socket) {
        sockets.add(socket);
        socket.data = openPassage(socket, to);
      },
      data(socket, bytes) {
        // Bun lends the bytes for the time of the call.
        if (!socket.data.target.write(Buffer.from(bytes))) socket.pause();
      },
      drain: (socket) => socket.data.drained(),
      end: (socket) => void socket.data.target.end(),
      close(socket) {
        sockets.delete(socket);
        socket.data.target.destroy();
      },
      error: (socket) => void socket.data.target.destroy(),
    },
  };
  const listener = Bun.listen<Passage>(address);
  const endAll = (): void => {
    for (const socket of sockets) socket.terminate();
  };
  return {
    lead(next) {
      if (next.host !== to.host || next.port !== to.port) endAll();
      to = next;
    },
    [Symbol.dispose]() {
      listener.stop();
      endAll();
    },
  };
}

interface Passage {
  readonly target: Socket;
  /** The client takes more bytes again. */
  readonly drained: () => void;
}

function openPassage(client: Bun.Socket<Passage>, to: Destination): Passage {
  const target = connect({ ...to, allowHalfOpen: true });
  let pending: Buffer = Buffer.alloc(0);
  let ended = false;
  const flush = (): void => {
    if (pending.length > 0) pending = pending.subarray(Math.max(0, client.write(pending)));
    if (pending.length > 0) return;
    if (ended) client.shutdown();
    else target.resume();
  };
  target.on("data", (bytes: Buffer) => {
    pending = pending.length === 0 ? bytes : Buffer.concat([pending, bytes]);
    target.pause();
    flush();
  });
  target.on("drain", () => client.resume());
  target.on("end", () => {
    ended = true;
    flush();
  });
  target.on("error", () => client.terminate());
  return { target, drained: flush };
}
