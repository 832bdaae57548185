/**
 * Files below a root that is not trusted: an image's own tree, or a running container's. Every path is resolved
 * by openat2(2) with RESOLVE_IN_ROOT, so links and `..` end inside the root, and magic links (/proc/…/fd) are
 * never followed.
 */
import { ptr } from "bun:ffi";
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { constants as osConstants } from "node:os";
import { addressOf, check, cString, libc, systemCall } from "./libc.ts";
import { errnoNameOf, SystemError } from "./system-error.ts";

const resolveInRoot = 0x10;
const resolveNoMagicLinks = 0x02;
const pathOnly = 0o10000000;
const closeOnExec = 0o2000000;
/** The kernel gives up on `..` when anything on the machine is moved or mounted at that very moment. */
const mostTries = 100;

/** Opens `path` as seen from `root` and returns the descriptor, which the caller owns. */
function openInRoot(root: number, path: string, flags: number): number {
  // struct open_how: flags, mode, resolve.
  const how = new BigUint64Array([
    BigInt(flags | closeOnExec),
    0n,
    BigInt(resolveInRoot | resolveNoMagicLinks),
  ]);
  if (path.includes("\0")) throw new SystemError("open", path, osConstants.errno.EINVAL);
  const name = cString(path);
  for (let tries = 1; ; tries++) {
    try {
      return check(
        libc.syscall(systemCall.openat2, root, addressOf(name), addressOf(how), how.byteLength, 0, 0),
        "open",
        path,
      );
    } catch (error) {
      if (errnoNameOf(error) !== "EAGAIN" || tries === mostTries) throw error;
    }
  }
}

/** What the kernel says of a path that names nothing. */
const nothingThere = ["ENOENT", "ENOTDIR", "ELOOP", "ENAMETOOLONG", "EINVAL"];

/**
 * Gives `use` a descriptor of whatever is at `path` and closes it; undefined when there is nothing at that path.
 * Only a regular file that has a size is opened for reading. Of anything else the descriptor merely tells what it
 * is: opening a device of an image could do anything, a fifo would wait, and so would files of /proc, which have
 * no size (`/proc/kmsg`). A file whose opening a lease holds up counts as nothing.
 */
export function withFileInRoot<T>(root: string, path: string, use: (descriptor: number) => T): T | undefined {
  return withPathInRoot(root, path, (found) => {
    const status = fstatSync(found);
    if (!status.isFile() || status.size === 0) return use(found);
    const file = openUnlessLeased(`/proc/self/fd/${found}`);
    if (file === undefined) return undefined;
    try {
      return use(file);
    } finally {
      closeSync(file);
    }
  });
}

/** A workload may hold a lease (fcntl(2), F_SETLEASE) on its files, for which a plain open waits. */
function openUnlessLeased(path: string): number | undefined {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (errnoNameOf(error) === "EAGAIN") return undefined;
    throw error;
  }
}

/** Gives `use` a descriptor of the file or directory at a path, which tells where it is and opens nothing. */
export function withPathInRoot<T>(
  root: string,
  path: string,
  use: (descriptor: number, isDirectory: boolean) => T | undefined,
): T | undefined {
  const directory = openSync(root, constants.O_DIRECTORY | constants.O_RDONLY);
  let found: number;
  try {
    found = openInRoot(directory, path, pathOnly);
  } catch (error) {
    if (nothingThere.includes(errnoNameOf(error) ?? "")) return undefined;
    throw error;
  } finally {
    closeSync(directory);
  }
  try {
    return use(found, fstatSync(found).isDirectory());
  } finally {
    closeSync(found);
  }
}

/** Reads a regular file of at most `limit` bytes; undefined when there is none at that path. */
export function readFileInRoot(root: string, path: string, limit: number): Buffer | undefined {
  return withFileInRoot(root, path, (file) => {
    const status = fstatSync(file);
    if (!status.isFile()) return undefined;
    if (status.size > limit)
      throw new RangeError(`${path} in the image has ${status.size} bytes, over the limit of ${limit}`);
    return status.size === 0 ? Buffer.alloc(0) : readFully(file, status.size);
  });
}

function readFully(file: number, most: number): Buffer {
  const content = Buffer.alloc(most);
  for (let length = 0; ; ) {
    const count = length === most ? 0 : readSync(file, content, length, most - length, length);
    length += count;
    if (count === 0) return content.subarray(0, length);
  }
}

/** Makes a directory and its parents (mode 0755) where they are missing; throws ENOTDIR when a file is in the way. */
export function makeDirectoryInRoot(root: string, path: string): void {
  const open: number[] = [openSync(root, constants.O_DIRECTORY | constants.O_RDONLY)];
  const rootDescriptor = open[0] ?? -1;
  try {
    const parts = path.split("/").filter((part) => part !== "" && part !== ".");
    let reached = "";
    let parent = rootDescriptor;
    for (const part of parts) {
      const next = `${reached}/${part}`;
      parent = openOrMake(rootDescriptor, parent, next, part);
      open.push(parent);
      reached = next;
    }
  } finally {
    for (const descriptor of open) closeSync(descriptor);
  }
}

function openOrMake(root: number, parent: number, path: string, name: string): number {
  const flags = constants.O_DIRECTORY | pathOnly;
  try {
    return openInRoot(root, path, flags);
  } catch (error) {
    if (errnoNameOf(error) !== "ENOENT") throw error;
  }
  const nameBuffer = cString(name);
  try {
    check(libc.mkdirat(parent, ptr(nameBuffer), 0o755), "mkdir", path);
  } catch (error) {
    // A dangling link is in the way: the name exists, its target does not.
    if (error instanceof SystemError && error.code === "EEXIST")
      throw new SystemError("mkdir", path, osConstants.errno.ENOTDIR);
    throw error;
  }
  return openInRoot(root, path, flags);
}
