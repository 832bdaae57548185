/** A file or directory of this machine as a tar. */
import { closeSync, lstatSync, openSync, readdirSync, readlinkSync, readSync, type Stats } from "node:fs";
import { type TarHeader, tarEnd, tarHeader, tarPadding } from "../../contract/tar-header.ts";

const chunkBytes = 256 * 1024;

/** Every name begins with `name`. Names are latin1 strings, one character per byte. */
export async function* pack(path: string, name: string): AsyncGenerator<Uint8Array, void, undefined> {
  const linked = new Map<string, string>();
  yield* member(Buffer.from(path), Buffer.from(name).toString("latin1"), linked);
  yield tarEnd;
}

function* member(at: Buffer, name: string, linked: Map<string, string>): Generator<Uint8Array> {
  const status = lstatSync(at);
  const type = typeOf(status);
  // A socket is of the process that listens on it.
  if (type === undefined) return;
  const identity = `${status.dev}:${status.ino}`;
  const first = status.nlink > 1 && type !== "directory" ? linked.get(identity) : undefined;
  if (first !== undefined) {
    yield tarHeader({ ...headerOf(status, name, "hardlink"), linkTarget: first });
    return;
  }
  if (status.nlink > 1) linked.set(identity, name);
  const target = type === "symlink" ? { linkTarget: readlinkSync(at, { encoding: "latin1" }) } : {};
  yield tarHeader({ ...headerOf(status, name, type), ...target });
  if (type === "file") yield* contentOf(at, status.size);
  if (type !== "directory") return;
  const names = readdirSync(at, { encoding: "latin1" }).sort((a, b) => (a < b ? -1 : 1));
  for (const each of names)
    yield* member(
      Buffer.concat([at, Buffer.from("/"), Buffer.from(each, "latin1")]),
      `${name}/${each}`,
      linked,
    );
}

function headerOf(status: Stats, path: string, type: TarHeader["type"]): TarHeader {
  const { uid, gid, rdev } = status;
  return {
    ...{ path, type, uid, gid, mode: status.mode & 0o7777, size: type === "file" ? status.size : 0 },
    mtimeSeconds: Math.floor(status.mtimeMs / 1000),
    // As in makedev(3).
    ...(type.endsWith("device")
      ? { major: (rdev >> 8) & 0xfff, minor: (rdev & 0xff) | ((rdev >> 12) & 0xfff00) }
      : {}),
  };
}

function typeOf(status: Stats): TarHeader["type"] | undefined {
  if (status.isFile()) return "file";
  if (status.isDirectory()) return "directory";
  if (status.isSymbolicLink()) return "symlink";
  if (status.isFIFO()) return "fifo";
  if (status.isCharacterDevice()) return "character-device";
  return status.isBlockDevice() ? "block-device" : undefined;
}

/** Exactly as many bytes as the header says. */
function* contentOf(at: Buffer, size: number): Generator<Uint8Array> {
  const file = openSync(at, "r");
  try {
    for (let left = size; left > 0; ) {
      const chunk = Buffer.alloc(Math.min(chunkBytes, left));
      const count = readSync(file, chunk, 0, chunk.length, null);
      // A file that shrinks meanwhile is filled up.
      yield count === 0 ? chunk : chunk.subarray(0, count);
      left -= count === 0 ? chunk.length : count;
    }
  } finally {
    closeSync(file);
  }
  yield tarPadding(size);
}
