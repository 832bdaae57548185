import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { dial } from "./dial.ts";

test("only a socket that is there itself is connected to, not what its place points at", async () => {
  const directory = mkdtempSync(join(tmpdir(), "dial-"));
  let connections = 0;
  const server = createServer((socket) => {
    connections++;
    socket.destroy();
  });
  try {
    const socket = join(directory, "socket");
    await new Promise<void>((listening) => server.listen(socket, listening));
    // QEMU's directory may be in the guest's hands, and others' sockets are within the daemon's reach.
    symlinkSync(socket, join(directory, "link"));
    writeFileSync(join(directory, "file"), "");
    for (const name of ["link", "file"])
      await expect(dial(join(directory, name), Date.now() + 5000)).rejects.toThrow("is no socket");
    expect(connections).toBe(0);
    (await dial(socket, Date.now() + 5000)).destroy();
    await expect(dial(join(directory, "nothing"), Date.now() + 10)).rejects.toThrow("ENOENT");
  } finally {
    server.close();
    rmSync(directory, { recursive: true });
  }
});
