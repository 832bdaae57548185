/** Repositories that somebody else serves, as badly as they like. */
import { expect, test } from "bun:test";
import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { noProxies } from "../../image/registry/proxy.ts";
import { tempDirectory } from "../../image/testing/temp.ts";
import { gitArchive, parseGitUrl } from "./git.ts";

/** Command lines of processes that name `word`. */
async function processesWith(word: string): Promise<string[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")),
  );
  return lines.filter((line) => line.includes(word));
}

test("a server that never answers is left when the client is gone, with every process of git's", async () => {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => sockets.add(socket.on("error", () => undefined)));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("it listens on a port");
  await using scratch = await tempDirectory();
  const gone = new AbortController();
  try {
    const place = `127.0.0.1:${address.port}`;
    const repository = parseGitUrl(`http://${place}/x.git`);
    if (repository === undefined) throw new Error("it is a git URL");
    const options = { scratch: scratch.path, proxies: noProxies, signal: gone.signal };
    const archive = gitArchive(repository, options).next();
    await Promise.race([once(server, "connection"), archive]);
    expect(await processesWith(place)).not.toEqual([]);
    gone.abort(new Error("the client is gone"));
    await expect(archive).rejects.toThrow("the client is gone");
    expect(await processesWith(place)).toEqual([]);
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
});
