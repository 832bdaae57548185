/**
 * Unpacks an archive that came out of a container, which may be hostile, into a directory of this machine. No name
 * leads outside: `..` is refused, and no link on the way to a member is followed. Nothing that would give a stranger's
 * file power here is made: owners stay those of whoever copies, set-user-id bits are dropped, devices left out.
 */
import {
  chmodSync,
  closeSync,
  constants,
  ftruncateSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  rmSync,
  symlinkSync,
  writeSync,
} from "node:fs";
import { posix } from "node:path";

/** What matters here of a member of a tar. Names are latin1 strings, one character per byte. */
interface Member {
  readonly type: string;
  readonly path: string;
  readonly linkTarget: string;
  readonly mode: number;
  readonly mtime: { readonly seconds: number };
  readonly size: number;
}

/** Returns what was left out. */
export async function unpack(bytes: AsyncIterable<Uint8Array>, directory: string): Promise<string[]> {
  const { TarParser } = await import("../../image/tar/parser.ts");
  const unpacking = new Unpacking(directory);
  const parser = new TarParser("the archive", {
    entry: (entry) => unpacking.begin(entry),
    data: (data, offset) => unpacking.write(data, offset),
    entryEnd: () => unpacking.end(),
  });
  try {
    for await (const chunk of bytes) parser.push(chunk);
    parser.end();
    unpacking.finish();
  } finally {
    unpacking.close();
  }
  return unpacking.leftOut;
}

class Unpacking {
  readonly leftOut: string[] = [];
  readonly #root: Buffer;
  /** Directories get their mode and time at the end. */
  readonly #late: Member[] = [];
  #open: { readonly entry: Member; readonly file: number } | undefined;

  constructor(directory: string) {
    this.#root = Buffer.from(directory);
  }

  begin(entry: Member): void {
    const path = cleaned(entry.path);
    if (path === "") return;
    this.#checkWay(path);
    const at = this.#at(path);
    const before = lstatSync(at, { throwIfNoEntry: false });
    const wantsDirectory = entry.type === "directory";
    if (before !== undefined && before.isDirectory() !== wantsDirectory)
      throw new Error(
        `cannot overwrite ${before.isDirectory() ? "directory" : "non-directory"} ${shown(path)} with ${wantsDirectory ? "directory" : "non-directory"}`,
      );
    if (before !== undefined && !wantsDirectory) rmSync(at);
    this.#make(entry, path, at, before !== undefined);
  }

  write(data: Uint8Array, offset: number): void {
    if (this.#open === undefined) return;
    for (let done = 0; done < data.length; )
      done += writeSync(this.#open.file, data, done, data.length - done, offset + done);
  }

  end(): void {
    const open = this.#open;
    if (open === undefined) return;
    ftruncateSync(open.file, open.entry.size);
    this.close();
    this.#describe(open.entry);
  }

  finish(): void {
    for (const entry of this.#late.toReversed()) this.#describe(entry);
  }

  close(): void {
    if (this.#open !== undefined) closeSync(this.#open.file);
    this.#open = undefined;
  }

  #make(entry: Member, path: string, at: Buffer, exists: boolean): void {
    switch (entry.type) {
      case "directory":
        if (!exists) mkdirSync(at, { mode: 0o700 });
        this.#late.push(entry);
        return;
      case "file": {
        const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
        this.#open = { entry, file: openSync(at, flags, 0o600) };
        return;
      }
      case "symlink":
        symlinkSync(Buffer.from(entry.linkTarget, "latin1"), at);
        return;
      case "hardlink": {
        const target = cleaned(entry.linkTarget);
        this.#checkWay(target);
        linkSync(this.#at(target), at);
        return;
      }
      default:
        this.leftOut.push(`${shown(path)} (${entry.type})`);
    }
  }

  /** What is already there may be a link of the user's own, or one that this archive brought: neither is followed. */
  #checkWay(path: string): void {
    const parts = path.split("/");
    for (let count = 1; count < parts.length; count++) {
      const way = parts.slice(0, count).join("/");
      const status = lstatSync(this.#at(way), { throwIfNoEntry: false });
      if (status === undefined) mkdirSync(this.#at(way), { mode: 0o755 });
      else if (!status.isDirectory())
        throw new Error(`${shown(path)} is not copied: ${shown(way)} is not a directory`);
    }
  }

  #describe(entry: Member): void {
    const at = this.#at(cleaned(entry.path));
    const status = lstatSync(at, { throwIfNoEntry: false });
    // A later member may have taken its place.
    if (status === undefined || status.isDirectory() !== (entry.type === "directory")) return;
    chmodSync(at, entry.mode & 0o777);
    lutimesSync(at, entry.mtime.seconds, entry.mtime.seconds);
  }

  #at(path: string): Buffer {
    return Buffer.concat([this.#root, Buffer.from("/"), Buffer.from(path, "latin1")]);
  }
}

function cleaned(name: string): string {
  const path = posix.normalize(`./${name}`).replace(/\/+$/, "");
  if (path === ".." || path.startsWith("../")) throw new Error(`${shown(name)} leads out of the destination`);
  return path === "." ? "" : path;
}

function shown(path: string): string {
  return JSON.stringify(Buffer.from(path, "latin1").toString("utf8"));
}
