/**
 * The C library, called through bun:ffi. Only files of this folder import it; each wraps a few calls in typed
 * functions that throw `SystemError`.
 *
 * All calls run on the main thread and return at once: nothing that may block for long belongs here.
 */
import { dlopen, FFIType, ptr, read } from "bun:ffi";
import { SystemError } from "./system-error.ts";

const { i32, u32, u64, i64, ptr: pointer } = FFIType;

const { symbols } = dlopen("libc.so.6", {
  __errno_location: { args: [], returns: pointer },
  bind: { args: [i32, pointer, u32], returns: i32 },
  close: { args: [i32], returns: i32 },
  connect: { args: [i32, pointer, u32], returns: i32 },
  execve: { args: [pointer, pointer, pointer], returns: i32 },
  /** With an integer as its third argument. */
  fcntl: { args: [i32, i32, i32], returns: i32 },
  flock: { args: [i32, i32], returns: i32 },
  ioctl: { args: [i32, u64, pointer], returns: i32 },
  listen: { args: [i32, i32], returns: i32 },
  lseek: { args: [i32, i64, i32], returns: i64 },
  memfd_create: { args: [pointer, u32], returns: i32 },
  mkdirat: { args: [i32, pointer, u32], returns: i32 },
  mount: { args: [pointer, pointer, pointer, u64, pointer], returns: i32 },
  recv: { args: [i32, pointer, u64, i32], returns: i64 },
  send: { args: [i32, pointer, u64, i32], returns: i64 },
  setns: { args: [i32, i32], returns: i32 },
  setsockopt: { args: [i32, i32, i32, pointer, u32], returns: i32 },
  shutdown: { args: [i32, i32], returns: i32 },
  socket: { args: [i32, i32, i32], returns: i32 },
  /** For calls that the C library has no function for; unused arguments are 0. */
  syscall: { args: [i64, u64, u64, u64, u64, u64, u64], returns: i64 },
  umount2: { args: [pointer, i32], returns: i32 },
  unshare: { args: [i32], returns: i32 },
});

export const libc = symbols;

/** Numbers of system calls: those below 424 are x86-64's, the newer ones are the same on every architecture. */
export const systemCall = {
  madvise: 28,
  pidfdSendSignal: 424,
  pidfdOpen: 434,
  openat2: 437,
  mountSetattr: 442,
} as const;

/** A string as C wants it. Keep the buffer referenced until the call has returned. */
export function cString(text: string): Buffer {
  if (text.includes("\0")) throw new TypeError("a path or argument contains a NUL character");
  return Buffer.from(`${text}\0`);
}

/** A null-terminated array of pointers to strings, and the buffers that must outlive the call. */
export function cStrings(texts: readonly string[]): {
  readonly array: BigUint64Array;
  readonly keep: Buffer[];
} {
  const keep = texts.map(cString);
  const array = new BigUint64Array(texts.length + 1);
  for (const [index, buffer] of keep.entries()) array[index] = BigInt(ptr(buffer));
  return { array, keep };
}

/** The address of a buffer as an integer argument of `syscall`: a plain number, which needs no memory of its own. */
export function addressOf(buffer: NodeJS.TypedArray): number {
  return Number(ptr(buffer));
}

/** Throws for a result of -1. Call it directly after the C function: anything between may change errno. */
export function check(result: number | bigint, call: string, path: string): number {
  if (Number(result) !== -1) return Number(result);
  throw new SystemError(call, path, currentErrno());
}

function currentErrno(): number {
  const location = symbols.__errno_location();
  return location === null ? 0 : read.i32(location, 0);
}
